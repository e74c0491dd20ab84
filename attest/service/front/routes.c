// SPDX-License-Identifier: Apache-2.0
/* What can be asked for, where, and how. A line in the table is all that a new route needs. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "attest/service/front/front.h"

#define ANY (HTTP_GET | HTTP_POST | HTTP_PUT | HTTP_DELETE)
#define READ (HTTP_GET | HTTP_HEAD)
#define ALL (DOOR_PUBLIC | DOOR_ADMIN | DOOR_STATUS)

/* "+" is one segment, "#" any number. The first that matches path and door is the one. */
const struct route routes[] = {
    { "auth", "/kbs/v0/auth", HTTP_POST, DOOR_PUBLIC, handle_auth, true },
    { "attest", "/kbs/v0/attest", HTTP_POST, DOOR_PUBLIC, handle_attest, true },
    { "resource", "/kbs/v0/resource/+/+/+", HTTP_GET | HTTP_POST, DOOR_PUBLIC, handle_resource,
      false },
    { "events", "/bawn/v1/revocations/events", HTTP_GET, DOOR_PUBLIC | DOOR_ADMIN, handle_events,
      false },
    { "jwks", "/.well-known/jwks.json", READ, DOOR_PUBLIC | DOOR_ADMIN, handle_jwks, false },
    { "admin-resource", "/kbs/v0/resource/+/+/+", ANY, DOOR_ADMIN, handle_admin, false },
    { "attestation-policy", "/kbs/v0/attestation-policy/#", ANY, DOOR_ADMIN, handle_admin, false },
    { "resource-policy", "/kbs/v0/resource-policy", ANY, DOOR_ADMIN, handle_admin, false },
    { "reference-value", "/kbs/v0/reference-value/#", ANY, DOOR_ADMIN, handle_admin, false },
    { "admin", "/bawn/v1/#", ANY, DOOR_ADMIN, handle_admin, false },
    { "healthz", "/healthz", READ, ALL, handle_health, false },
    { "metrics", "/metrics", READ, DOOR_STATUS, handle_metrics, false },
    { "page", "/", READ, DOOR_STATUS, handle_page, false },
};
const unsigned nr_routes = sizeof(routes) / sizeof(routes[0]);
_Static_assert(sizeof(routes) / sizeof(routes[0]) < METRICS_ROUTES, "room for what has no route");

size_t route_body_max(const struct conn *c)
{
    const struct service_config *config = c->front->config;

    return c->door->kind == DOOR_ADMIN ? config->limits.admin_body : config->limits.body;
}

/* "/t/<tenant>/...": the tenant, and where the rest begins. */
static bool find_tenant(struct conn *c)
{
    const struct config_tenant *tenant;
    char name[HTTP_SEGMENT_MAX + 1] = SERVICE_TENANT_DEFAULT;

    c->path_from = 0;
    if (c->path.n >= 3 && slice_is(c->path.segment[0], "t")) {
        memcpy(name, c->path.segment[1].p, c->path.segment[1].len);
        name[c->path.segment[1].len] = '\0';
        c->path_from = 2;
    }
    tenant = config_tenant(c->front->config, name);
    snprintf(c->tenant, sizeof(c->tenant), "%s", tenant ? tenant->name : "");
    return tenant || !c->path_from; /* what needs no tenant is there without any */
}

static bool is_json(const struct conn *c)
{
    struct slice type;

    if (!http_header(&c->head, "Content-Type", &type))
        return true; /* none is given; the body will tell */
    return type.len >= 16 && !strncasecmp(type.p, "application/json", 16) &&
           (type.len == 16 || type.p[16] == ';' || type.p[16] == ' ');
}

bool route_find(struct conn *c)
{
    bool other_method = false;

    if (!http_path_parse(c->head.path, &c->path) || !http_query_ok(c->head.query)) {
        conn_error(c, 400, "BadRequest", "the path or the query has what none has here", 0);
        return false;
    }
    if (!host_check(c)) {
        conn_error(c, 421, "BadRequest",
                   "Host is no name of this address: add it to hosts in the configuration", 0);
        return false;
    }
    if (!find_tenant(c)) {
        conn_error(c, 404, "NotFound", "there is no such tenant", 0);
        return false;
    }
    for (unsigned i = 0; i < nr_routes; i++) {
        if (!(routes[i].doors & c->door->kind) ||
            !http_path_matches(&c->path, c->path_from, routes[i].pattern))
            continue;
        if (!(routes[i].methods & c->head.method)) {
            other_method = true;
            continue;
        }
        c->route = &routes[i];
        if (!routes[i].json_only || is_json(c))
            return true;
        conn_error(c, 415, "BadRequest", "the body must be application/json", 0);
        return false;
    }
    if (other_method)
        conn_error(c, 405, "BadRequest", "not with this method", 0);
    else
        conn_error(c, 404, "NotFound", "there is nothing here", 0);
    return false;
}
