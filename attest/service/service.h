/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bawn-attestd's processes share: the configuration, their entry points, confinement and
 * the journal. The configuration file is the administrator's and trusted; README.md has the
 * processes and what each may do.
 */
#ifndef BAWN_ATTESTD_SERVICE_H
#define BAWN_ATTESTD_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <bawn/attest.h>
#include <bawn/status.h>

enum service_role { ROLE_VAULT, ROLE_JUDGE, ROLE_FRONT, ROLE_ADMIN, ROLE_FETCH, ROLES };
extern const char
    *const service_role_names[ROLES]; /* "vault", "judge", "front", "admin", "fetch" */

#define SERVICE_LISTEN_MAX 8
#define SERVICE_WORKERS_MAX 64
#define SERVICE_EXIT_CONFIG 78           /* sysexits.h, EX_CONFIG: starting again does not help */
#define SERVICE_NAMES_MAX 32
#define SERVICE_TENANT_DEFAULT "default" /* of requests without the prefix /t/<tenant>/ */

/* ---- Configuration (schema/config.schema.json, docs/attestd.md) ---- */

/* A file that the configuration names. Its content is there for the roles that need it, once
 * config_read_files() was there; secret ones are wiped with the configuration. */
struct config_file {
    char *path; /* absolute; NULL: not configured */
    uint8_t *data;
    size_t len; /* data[len] is a zero byte */
};

enum listen_kind { LISTEN_TCP, LISTEN_UNIX, LISTEN_VSOCK };

struct config_listen {
    enum listen_kind kind;
    char *text; /* as configured */
    char *host; /* tcp: numeric address; unix: path */
    unsigned cid, port;
};

struct config_listens {
    struct config_listen at[SERVICE_LISTEN_MAX];
    size_t n;
};

/* Names that a request's Host may have. */
struct config_names {
    char *at[SERVICE_NAMES_MAX];
    size_t n;
};

struct config_tls {
    struct config_file certificate, key; /* PEM: chain, leaf first; private key */
};

enum admin_role {
    ADMIN_POLICY = 1 << 0,  /* policies, reference values, revocation */
    ADMIN_SECRETS = 1 << 1, /* resources */
    ADMIN_AUDITOR = 1 << 2, /* reads the log, policies, references; never secrets */
};

struct config_admin {
    char *name;
    char certificate[65]; /* SHA-256 of the DER, lower-case hex */
    unsigned roles;       /* enum admin_role */
};

struct config_tenant {
    char *name;
    struct config_file policy; /* what applies until one is set by the API; NULL: deny all */
    struct config_file *roots; /* PEM or DER, instead of the compiled-in ones; */
    size_t nr_roots;           /* 0: the compiled-in ones */
    bool test_roots;           /* roots may be of a test platform: policies may allow them */
    struct config_admin *admins;
    size_t nr_admins;
};

/* A key that a PKCS#11 token keeps. */
struct config_pkcs11 {
    char *module; /* absolute path */
    char *token;  /* label, or NULL: by slot */
    unsigned slot;
    char *key;              /* label */
    struct config_file pin; /* and perhaps a line end */
    bool oaep_sha1;         /* RSA: the hash in OAEP is SHA-1; else SHA-256 */
    char *init_args;        /* what the module wants at its start (NSS: its directory), or NULL */
};

enum storage_key { STORAGE_KEY_FILE, STORAGE_KEY_TPM, STORAGE_KEY_PKCS11 };

struct service_config {
    char *path; /* of the configuration file; relative paths are relative to its directory */
    struct config_listens listen;
    struct config_tls tls;
    struct {
        struct config_listens listen; /* none: no administration by network */
        struct config_tls tls;        /* the public one's when not given */
        struct config_file client_ca;
        struct config_names hosts; /* besides its addresses and those of its certificate */
    } admin;
    struct config_listens status; /* plain HTTP, loopback or unix only */
    struct config_names status_hosts;

    char *database; /* "sqlite:/path" (absolute), "postgresql://..." */
    struct {
        enum storage_key kind;
        struct config_file file; /* file: 32 bytes, or 64 hex digits; others: the sealed key */
        char *uri;               /* tpm: the TCTI, or NULL */
        struct config_pkcs11 pkcs11;
    } storage;

    struct {
        char *issuer;
        unsigned lifetime;     /* seconds */
        const char *algorithm; /* "ES256" or "ES384" */
    } token;
    unsigned session_lifetime; /* seconds */
    unsigned workers;          /* judges; 0 of config_parse(): as many as there are processors */

    struct {
        size_t body;             /* bytes of a request */
        size_t admin_body;       /* the same for administrators */
        size_t header;           /* bytes of a request's line and headers */
        unsigned rate, burst;    /* requests per second of one client address; 0: no limit */
        unsigned connections;    /* in all */
        unsigned per_client;     /* of one address */
        unsigned header_timeout; /* seconds from the connection to the end of the headers */
        unsigned body_timeout;   /* seconds for a body */
        unsigned idle_timeout;   /* seconds between requests */
        unsigned jobs;           /* outstanding, per judge */
        unsigned judge_timeout;  /* seconds without an answer until a judge is ended */
        unsigned subscribers;    /* of server-sent events */
        bool session_tickets;    /* of TLS */
    } limits;

    struct config_tenant *tenants; /* at least one; sorted as in the file */
    size_t nr_tenants;

    struct {
        char *directory; /* of collateral to be taken in at start and on reload, or NULL */
        char *mirror;    /* URL, or NULL: offline */
        struct config_file mirror_ca; /* PEM; of https */
    } collateral;
    struct {
        char *origin;
        unsigned checkpoint_seconds;
        unsigned denials;            /* written out per minute, of one tenant; 0: all */
        unsigned denials_per_client; /* the same of one address; 0: no limit of its own */
    } log;

    char *user[ROLES]; /* when started as root; NULL: stay as started */
    json_t *source;    /* the file as read, owned */
};

/* Reads and checks a configuration file. BAWN_E_CONFIG: "path:line:column: key: what is wrong". */
enum bawn_status config_load(struct service_config **config, const char *path,
                             struct bawn_error *err);
/* The same of a text; path is for messages and for relative paths. */
enum bawn_status config_parse(struct service_config **config, const char *path, const char *text,
                              size_t len, struct bawn_error *err);
void config_destroy(struct service_config *config);
const struct config_tenant *config_tenant(const struct service_config *config, const char *name);
/* Reads the files that this role needs. BAWN_E_IO, BAWN_E_CONFIG (too large, permissions). */
enum bawn_status config_read_files(struct service_config *config, enum service_role role,
                                   struct bawn_error *err);
/* Wipes what the vault needs once: the PIN, and the storage key or what it is sealed in. */
void config_forget_storage(struct service_config *config);
/* From IPC_RELOAD: the new configuration with its files. The caller destroys the old one. */
enum bawn_status config_reload(struct service_config **config, enum service_role role,
                               const char *path, const json_t *json, struct bawn_bytes blob,
                               struct bawn_error *err);
/* What config_reload() reads: IPC_RELOAD's JSON and blob (malloc'ed, wipe it). The files have been
 * read. */
enum bawn_status config_pack(const struct service_config *config, enum service_role role,
                             json_t **json, uint8_t **blob, size_t *len, struct bawn_error *err);

/* ---- Processes ---- */

/*
 * Each runs in a process of its own, as the role's user, with config_read_files() done, SIGTERM,
 * SIGINT and SIGHUP ignored (the supervisor speaks by control), and returns its exit status. It
 * opens what else it needs, then calls service_confine(), sends IPC_READY on control (not the
 * judge) and serves. Judges come as IPC_PEER by control, at start as later. All descriptors become
 * the process's own. A peer that is gone: the vault goes on without it (a new judge comes; the
 * supervisor sees a front's end); others end with 1 without front or vault, all without control. On
 * IPC_STOP: the front finishes its requests and ends; then the vault gets its own, commits and
 * ends; a judge ends with 0 when front and vault have closed their sides.
 */
struct service_fds {
    int control;      /* supervisor; not the judge's */
    int vault;        /* fronts, judge, fetch */
    int front, admin; /* vault: both (admin -1 when there is none); judge: front only */
    int listen[SERVICE_LISTEN_MAX]; /* fronts: of config->listen, or of config->admin.listen */
    int status[SERVICE_LISTEN_MAX]; /* ROLE_ADMIN: of config->status */
    unsigned number;                /* judge: from 0; fronts: the top byte of their ids, 1 and 2 */
    struct front_metrics *metrics;  /* fronts: shared memory */
};

/* In the operator's own process, before any of these is there: the state that the database has is
 * sealed as it is (vault/state.c). BAWN_E_IO, BAWN_E_DENIED. */
enum bawn_status service_accept_state(struct service_config *config, struct bawn_error *err);
int vault_main(struct service_config *config, const struct service_fds *fds);
int judge_main(struct service_config *config, const struct service_fds *fds);
int fetch_main(struct service_config *config, const struct service_fds *fds);
int front_main(struct service_config *config, enum service_role role,
               const struct service_fds *fds);

/* ---- Confinement (confine.c) ---- */

/* The role's user and groups; nothing when not started as root. Done before the _main functions. */
enum bawn_status service_drop_user(const struct service_config *config, enum service_role role,
                                   struct bawn_error *err);
/* No new privileges, no core dumps, Landlock, seccomp. What this kernel has not got is left out and
 * said in the journal. Once, from the only thread; BAWN_E_IO: do not go on. */
enum bawn_status service_confine(const struct service_config *config, enum service_role role,
                                 struct bawn_error *err);

/* ---- Journal: one JSON object per line on stderr (journal.c) ---- */

void journal_start(enum service_role role); /* names the process; the supervisor needs none */
/* level: "error", "warning", "info". fields: json_pack()'s format of an object with its values,
 * or NULL. Never give it a secret. journal("info", "judge ended", "{s:i}", "status", 1). */
void journal(const char *level, const char *event, const char *fields, ...);

#endif
