// SPDX-License-Identifier: Apache-2.0
/* Replies to fronts: JSON bodies and the errors of the KBS protocol (ErrorInformation). */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "attest/jose/jose.h"
#include "attest/service/vault/vault.h"

#define ERROR_TYPE "https://github.com/confidential-containers/kbs/errors/"

const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

enum bawn_status reply_text(struct reply *r, int status, char *body)
{
    r->status = status;
    r->type = "application/json";
    free(r->body);
    r->body = body;
    r->len = body ? strlen(body) : 0;
    return body ? BAWN_OK : BAWN_E_NOMEM;
}

enum bawn_status reply_json(struct reply *r, int status, json_t *body)
{
    size_t len;
    char *text = body ? json_text(body, &len) : NULL;

    json_decref(body);
    return reply_text(r, status, text);
}

static json_t *error_body(const char *kind, const char *detail)
{
    char type[160];

    snprintf(type, sizeof(type), ERROR_TYPE "%s", kind);
    return json_pack("{s:s, s:s}", "type", type, "detail", detail);
}

enum bawn_status reply_error(struct reply *r, int status, const char *kind, const char *fmt, ...)
{
    char detail[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    if (status == 503)
        r->retry_after = 1;
    return reply_json(r, status, error_body(kind, detail));
}

enum bawn_status reply_denied(struct reply *r, int status, const char *kind, const char *detail,
                              const json_t *reasons)
{
    json_t *body = error_body(kind, detail);

    if (body)
        json_object_set(body, "reasons", (json_t *)(uintptr_t)reasons);
    return reply_json(r, status, body);
}

void reply_clear(struct reply *r)
{
    if (r->body)
        OPENSSL_cleanse(r->body, r->len);
    free(r->body);
    free(r->cookie);
    *r = (struct reply){ 0 };
}
