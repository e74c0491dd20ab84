// SPDX-License-Identifier: Apache-2.0
/*
 * The VM's configuration: Cloud Hypervisor's vm.create body, the part that is served.
 * Trusts nothing of the text; whatever is not understood is refused, with its line.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "bawn/snp.h"
#include "common/bytes.h"
#include "launch/launch.h"

/* Room for every served key many times over; bounds what one API call makes us parse. */
#define CONFIG_TEXT_MAX (1u << 20)

void bawn_vm_config_init(struct bawn_vm_config *cfg)
{
    *cfg = (struct bawn_vm_config){
        .memory = 512ull << 20,
        .vcpus = 1,
        .serial = { .mode = BAWN_STREAM_TTY },
        .console = { .mode = BAWN_STREAM_OFF },
        .rng = true,
        .snp = { .policy = BAWN_SNP_POLICY_DEFAULT },
    };
}

static void free_disk(struct bawn_disk_config *disk)
{
    free(disk->path);
    free(disk->backing);
}

void bawn_vm_config_free(struct bawn_vm_config *cfg)
{
    free(cfg->firmware);
    free(cfg->kernel);
    free(cfg->initrd);
    free(cfg->cmdline);
    free(cfg->serial.path);
    free(cfg->console.path);
    for (unsigned i = 0; i < cfg->nr_disks; i++)
        free_disk(&cfg->disk[i]);
    for (unsigned i = 0; i < cfg->nr_nets; i++) {
        free(cfg->net[i].tap);
        free(cfg->net[i].socket);
    }
    free(cfg->vsock.socket);
    free(cfg->snp.id_block);
    free(cfg->snp.id_auth);
    free(cfg->snp.certs);
    memset(cfg, 0, sizeof(*cfg));
}

struct parse {
    struct bawn_vm_config *cfg;
    const char *json;
    size_t len;
    const char *section;
    const char *key;
    json_int_t max_vcpus; /* 0: not given */
    struct bawn_error *err;
};

static bool text_is(const char *s, size_t n, const char *want)
{
    return strlen(want) == n && !memcmp(s, want, n);
}

/*
 * The line of a section, or of a key inside it (key not NULL), in text that jansson has already
 * found to be JSON without duplicate keys. A key written with escapes is not found: line 0.
 */
static unsigned find_line(const char *s, size_t len, const char *section, const char *key)
{
    unsigned line = 1, depth = 0;
    bool inside = false;

    for (size_t i = 0; i < len; i++) {
        size_t start = i + 1, next;

        if (s[i] == '\n')
            line++;
        else if (s[i] == '{' || s[i] == '[')
            depth++;
        else if (s[i] == '}' || s[i] == ']')
            depth--;
        if (s[i] != '"')
            continue;
        for (i++; i < len && s[i] != '"'; i++)
            i += s[i] == '\\';
        if (i >= len)
            break;
        next = i + 1;
        while (next < len && strchr(" \t\r\n", s[next]))
            next++;
        if (next >= len || s[next] != ':')
            continue;
        if (depth == 1)
            inside = text_is(s + start, i - start, section);
        if (inside && depth == 1 && !key)
            return line;
        if (inside && depth == 2 && key && text_is(s + start, i - start, key))
            return line;
    }
    return 0;
}

/* "line 3: memory.size: " and the caller's text. */
__attribute__((format(printf, 2, 3))) static enum bawn_status refuse(const struct parse *p,
                                                                     const char *fmt, ...)
{
    unsigned line = find_line(p->json, p->len, p->section, p->key);
    char text[384];
    va_list ap;

    if (!line)
        line = find_line(p->json, p->len, p->section, NULL);
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return bawn_fail(p->err, BAWN_E_CONFIG, "line %u: %.40s%s%.40s %s", line ? line : 1, p->section,
                     p->key ? "." : "", p->key ? p->key : "", text);
}

static enum bawn_status set_text(const struct parse *p, const json_t *v, char **text)
{
    char *copy;

    if (!json_is_string(v))
        return refuse(p, "must be a string");
    copy = strdup(json_string_value(v));
    if (!copy)
        return bawn_fail(p->err, BAWN_E_NOMEM, "out of memory");
    free(*text);
    *text = copy;
    return BAWN_OK;
}

static enum bawn_status set_kernel(struct parse *p, const json_t *v)
{
    return set_text(p, v, &p->cfg->kernel);
}

static enum bawn_status set_initrd(struct parse *p, const json_t *v)
{
    return set_text(p, v, &p->cfg->initrd);
}

static enum bawn_status set_cmdline(struct parse *p, const json_t *v)
{
    return set_text(p, v, &p->cfg->cmdline);
}

static enum bawn_status set_firmware(struct parse *p, const json_t *v)
{
    return set_text(p, v, &p->cfg->firmware);
}

static enum bawn_status set_bool(const struct parse *p, const json_t *v, bool *to)
{
    if (!json_is_boolean(v))
        return refuse(p, "must be true or false");
    *to = json_is_true(v);
    return BAWN_OK;
}

static enum bawn_status get_vcpus(const struct parse *p, const json_t *v, json_int_t *n)
{
    if (!json_is_integer(v))
        return refuse(p, "must be an integer");
    *n = json_integer_value(v);
    if (*n < 1 || *n > BAWN_MAX_VCPUS)
        return refuse(p, "is %" JSON_INTEGER_FORMAT ": must be 1 to %d", *n, BAWN_MAX_VCPUS);
    return BAWN_OK;
}

static enum bawn_status set_boot_vcpus(struct parse *p, const json_t *v)
{
    json_int_t n = 0;
    enum bawn_status st = get_vcpus(p, v, &n);

    if (st == BAWN_OK)
        p->cfg->vcpus = (unsigned)n;
    return st;
}

static enum bawn_status set_max_vcpus(struct parse *p, const json_t *v)
{
    return get_vcpus(p, v, &p->max_vcpus);
}

static enum bawn_status set_memory(struct parse *p, const json_t *v)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return refuse(p, "must be a number of bytes");
    p->cfg->memory = (uint64_t)json_integer_value(v);
    return BAWN_OK;
}

static enum bawn_status set_mode(struct parse *p, const json_t *v, struct bawn_stream_config *s)
{
    static const char *const names[] = {
        [BAWN_STREAM_OFF] = "Off",
        [BAWN_STREAM_NULL] = "Null",
        [BAWN_STREAM_TTY] = "Tty",
        [BAWN_STREAM_FILE] = "File",
    };

    if (!json_is_string(v))
        return refuse(p, "must be a string");
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(json_string_value(v), names[i])) {
            s->mode = (enum bawn_stream_mode)i;
            return BAWN_OK;
        }
    }
    return refuse(p, "is \"%.40s\": must be Off, Null, Tty or File", json_string_value(v));
}

static enum bawn_status set_serial_mode(struct parse *p, const json_t *v)
{
    return set_mode(p, v, &p->cfg->serial);
}

static enum bawn_status set_serial_file(struct parse *p, const json_t *v)
{
    return set_text(p, v, &p->cfg->serial.path);
}

static enum bawn_status set_console_mode(struct parse *p, const json_t *v)
{
    return set_mode(p, v, &p->cfg->console);
}

static enum bawn_status set_console_file(struct parse *p, const json_t *v)
{
    return set_text(p, v, &p->cfg->console.path);
}

static enum bawn_status set_rng(struct parse *p, const json_t *v)
{
    if (!json_is_string(v) || strcmp(json_string_value(v), "/dev/urandom"))
        return refuse(p, "must be \"/dev/urandom\"");
    p->cfg->rng = true;
    return BAWN_OK;
}

/* Of the disk that was begun last. */
static struct bawn_disk_config *last_disk(struct parse *p)
{
    return &p->cfg->disk[p->cfg->nr_disks - 1];
}

static enum bawn_status set_disk_path(struct parse *p, const json_t *v)
{
    return set_text(p, v, &last_disk(p)->path);
}

static enum bawn_status set_disk_readonly(struct parse *p, const json_t *v)
{
    return set_bool(p, v, &last_disk(p)->readonly);
}

static enum bawn_status set_format(const struct parse *p, const json_t *v,
                                   enum bawn_disk_format *format)
{
    const char *name = json_is_string(v) ? json_string_value(v) : "";

    if (strcmp(name, "Raw") != 0 && strcmp(name, "Qcow2") != 0)
        return refuse(p, "must be \"Raw\" or \"Qcow2\"");
    *format = name[0] == 'Q' ? BAWN_DISK_QCOW2 : BAWN_DISK_RAW;
    return BAWN_OK;
}

static enum bawn_status set_disk_format(struct parse *p, const json_t *v)
{
    return set_format(p, v, &last_disk(p)->format);
}

static enum bawn_status set_disk_backing(struct parse *p, const json_t *v)
{
    return set_text(p, v, &last_disk(p)->backing);
}

static enum bawn_status set_backing_format(struct parse *p, const json_t *v)
{
    return set_format(p, v, &last_disk(p)->backing_format);
}

/* A token bucket as Cloud Hypervisor writes it. */
static enum bawn_status set_bucket(const struct parse *p, const char *name, json_t *bucket,
                                   struct bawn_rate_config *to)
{
    const struct {
        const char *key;
        uint64_t *to;
    } keys[] = { { "size", &to->size },
                 { "one_time_burst", &to->burst },
                 { "refill_time", &to->refill } };
    const char *key;
    json_t *v;

    if (!json_is_object(bucket))
        return refuse(p, "must have an object as its %s", name);
    json_object_foreach(bucket, key, v)
    {
        size_t i = 0;

        while (i < sizeof(keys) / sizeof(keys[0]) && strcmp(keys[i].key, key) != 0)
            i++;
        if (i == sizeof(keys) / sizeof(keys[0]))
            return refuse(p, "has an unknown key %.40s.%.40s", name, key);
        if (!json_is_integer(v) || json_integer_value(v) < 0 ||
            (uint64_t)json_integer_value(v) > BAWN_RATE_MAX)
            return refuse(p, "must have a number from 0 to %llu as its %s.%s", BAWN_RATE_MAX, name,
                          key);
        *keys[i].to = (uint64_t)json_integer_value(v);
    }
    if (!to->size != !to->refill)
        return refuse(p, "must have both %s.size and %s.refill_time", name, name);
    return BAWN_OK;
}

static enum bawn_status set_disk_rate(struct parse *p, const json_t *v)
{
    enum bawn_status st = BAWN_OK;
    const char *key;
    json_t *bucket;

    if (!json_is_object(v))
        return refuse(p, "must be an object");
    json_object_foreach((json_t *)v, key, bucket)
    {
        if (!strcmp(key, "bandwidth"))
            st = set_bucket(p, key, bucket, &last_disk(p)->bytes);
        else if (!strcmp(key, "ops"))
            st = set_bucket(p, key, bucket, &last_disk(p)->ops);
        else
            st = refuse(p, "has an unknown key %.40s", key);
        if (st)
            break;
    }
    return st;
}

/* Of the network device that was begun last. */
static struct bawn_net_config *last_net(struct parse *p)
{
    return &p->cfg->net[p->cfg->nr_nets - 1];
}

static enum bawn_status set_net_tap(struct parse *p, const json_t *v)
{
    return set_text(p, v, &last_net(p)->tap);
}

static enum bawn_status set_net_socket(struct parse *p, const json_t *v)
{
    return set_text(p, v, &last_net(p)->socket);
}

static enum bawn_status set_net_fds(struct parse *p, const json_t *v)
{
    const json_t *fd = json_array_size(v) == 1 ? json_array_get(v, 0) : NULL;

    if (!json_is_integer(fd) || json_integer_value(fd) < 0 || json_integer_value(fd) > INT_MAX)
        return refuse(p, "must be an array of one descriptor");
    last_net(p)->fd = (int)json_integer_value(fd);
    return BAWN_OK;
}

static enum bawn_status set_net_mac(struct parse *p, const json_t *v)
{
    last_net(p)->has_mac =
        json_is_string(v) && bawn_mac_parse(json_string_value(v), last_net(p)->mac);
    return last_net(p)->has_mac ? BAWN_OK
                                : refuse(p, "must be one station's address, such as "
                                            "\"02:00:00:00:00:01\"");
}

static enum bawn_status set_net_mtu(struct parse *p, const json_t *v)
{
    if (!json_is_integer(v) || json_integer_value(v) < BAWN_NET_MTU_MIN ||
        json_integer_value(v) > UINT16_MAX)
        return refuse(p, "must be a number from %u to %u", BAWN_NET_MTU_MIN, UINT16_MAX);
    last_net(p)->mtu = (uint16_t)json_integer_value(v);
    return BAWN_OK;
}

static enum bawn_status set_balloon_size(struct parse *p, const json_t *v)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return refuse(p, "must be a number of bytes");
    p->cfg->balloon.on = true;
    p->cfg->balloon.size = (uint64_t)json_integer_value(v);
    return BAWN_OK;
}

static enum bawn_status set_balloon_reporting(struct parse *p, const json_t *v)
{
    return set_bool(p, v, &p->cfg->balloon.reporting);
}

static enum bawn_status set_vsock_cid(struct parse *p, const json_t *v)
{
    if (!json_is_integer(v) || json_integer_value(v) < BAWN_VSOCK_CID_MIN ||
        json_integer_value(v) >= UINT32_MAX)
        return refuse(p, "must be a number from %u to %u", BAWN_VSOCK_CID_MIN, UINT32_MAX - 1);
    p->cfg->vsock.cid = (uint32_t)json_integer_value(v);
    return BAWN_OK;
}

static enum bawn_status set_vsock_socket(struct parse *p, const json_t *v)
{
    return set_text(p, v, &p->cfg->vsock.socket);
}

static enum bawn_status set_snp(struct parse *p, const json_t *v)
{
    return set_bool(p, v, &p->cfg->snp.on);
}

static enum bawn_status set_snp_policy(struct parse *p, const json_t *v)
{
    if (json_is_integer(v) && json_integer_value(v) >= 0)
        p->cfg->snp.policy = (uint64_t)json_integer_value(v);
    else if (!json_is_string(v) || !bawn_u64_parse(json_string_value(v), &p->cfg->snp.policy))
        return refuse(p, "must be a number, or text such as \"0x30000\"");
    return BAWN_OK;
}

static enum bawn_status set_host_data(struct parse *p, const json_t *v)
{
    if (!json_is_string(v) ||
        !bawn_hex_parse(json_string_value(v), p->cfg->snp.host_data, sizeof(p->cfg->snp.host_data)))
        return refuse(p, "must be %d hexadecimal digits", 2 * BAWN_SNP_HOST_DATA_SIZE);
    return BAWN_OK;
}

static enum bawn_status set_id_block(struct parse *p, const json_t *v)
{
    return set_text(p, v, &p->cfg->snp.id_block);
}

static enum bawn_status set_id_auth(struct parse *p, const json_t *v)
{
    return set_text(p, v, &p->cfg->snp.id_auth);
}

static enum bawn_status set_certs(struct parse *p, const json_t *v)
{
    return set_text(p, v, &p->cfg->snp.certs);
}

static const struct field {
    const char *section;
    const char *key;
    enum bawn_status (*set)(struct parse *p, const json_t *v);
} fields[] = {
    { "cpus", "boot_vcpus", set_boot_vcpus },
    { "cpus", "max_vcpus", set_max_vcpus },
    { "memory", "size", set_memory },
    { "payload", "kernel", set_kernel },
    { "payload", "initramfs", set_initrd },
    { "payload", "cmdline", set_cmdline },
    { "payload", "firmware", set_firmware },
    { "payload", "host_data", set_host_data },
    { "serial", "mode", set_serial_mode },
    { "serial", "file", set_serial_file },
    { "console", "mode", set_console_mode },
    { "console", "file", set_console_file },
    { "rng", "src", set_rng },
    { "disks", "path", set_disk_path },
    { "disks", "readonly", set_disk_readonly },
    { "disks", "image_type", set_disk_format },
    { "disks", "backing", set_disk_backing },
    { "disks", "backing_type", set_backing_format },
    { "disks", "rate_limiter_config", set_disk_rate },
    { "net", "tap", set_net_tap },
    { "net", "socket", set_net_socket },
    { "net", "fds", set_net_fds },
    { "net", "mac", set_net_mac },
    { "net", "mtu", set_net_mtu },
    { "balloon", "size", set_balloon_size },
    { "balloon", "free_page_reporting", set_balloon_reporting },
    { "vsock", "cid", set_vsock_cid },
    { "vsock", "socket", set_vsock_socket },
    { "platform", "sev_snp", set_snp },
    { "platform", "snp_policy", set_snp_policy },
    { "platform", "snp_id_block", set_id_block },
    { "platform", "snp_id_auth", set_id_auth },
    { "platform", "snp_certs", set_certs },
};

/* The field of this name; with key NULL, any field of the section. */
static const struct field *find_field(const char *section, const char *key)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (!strcmp(fields[i].section, section) && (!key || !strcmp(fields[i].key, key)))
            return &fields[i];
    return NULL;
}

static enum bawn_status parse_section(struct parse *p, json_t *section)
{
    const char *key;
    json_t *value;

    if (!find_field(p->section, NULL))
        return refuse(p, "is not a known section");
    if (!json_is_object(section))
        return refuse(p, "must be an object");
    json_object_foreach(section, key, value)
    {
        const struct field *f = find_field(p->section, key);
        enum bawn_status st;

        p->key = key;
        if (!f)
            return refuse(p, "is not a known key");
        st = f->set(p, value);
        if (st != BAWN_OK)
            return st;
    }
    return BAWN_OK;
}

/* Sections that are arrays, of which each entry is a device. */
static const struct {
    const char *name;
    unsigned max;
} lists[] = { { "disks", BAWN_MAX_DISKS }, { "net", BAWN_MAX_NETS } };

static void begin_entry(struct bawn_vm_config *cfg, bool net)
{
    if (net)
        cfg->net[cfg->nr_nets++] = (struct bawn_net_config){ .fd = -1 };
    else
        cfg->disk[cfg->nr_disks++] = (struct bawn_disk_config){ .path = NULL };
}

static enum bawn_status parse_list(struct parse *p, json_t *list, bool net)
{
    enum bawn_status st = BAWN_OK;
    json_t *entry;
    size_t i;

    if (!json_is_array(list))
        return refuse(p, "must be an array");
    json_array_foreach(list, i, entry)
    {
        p->key = NULL;
        if ((net ? p->cfg->nr_nets : p->cfg->nr_disks) == lists[net].max)
            return refuse(p, "has too many entries: at most %u are served", lists[net].max);
        begin_entry(p->cfg, net);
        st = parse_section(p, entry);
        if (st != BAWN_OK)
            break;
    }
    return st;
}

static enum bawn_status parse_root(struct parse *p, json_t *root)
{
    const char *name;
    json_t *section;

    if (!json_is_object(root))
        return bawn_fail(p->err, BAWN_E_CONFIG, "line 1: the configuration must be an object");
    json_object_foreach(root, name, section)
    {
        enum bawn_status st;

        p->section = name;
        p->key = NULL;
        if (!strcmp(name, lists[false].name) || !strcmp(name, lists[true].name))
            st = parse_list(p, section, !strcmp(name, lists[true].name));
        else
            st = parse_section(p, section);
        if (st != BAWN_OK)
            return st;
    }
    p->section = "cpus";
    p->key = "max_vcpus";
    if (p->max_vcpus && p->max_vcpus != (json_int_t)p->cfg->vcpus)
        return refuse(p, "is %" JSON_INTEGER_FORMAT ": must equal boot_vcpus, %u (no hotplug)",
                      p->max_vcpus, p->cfg->vcpus);
    return BAWN_OK;
}

enum bawn_status bawn_vm_config_parse(struct bawn_vm_config *cfg, const char *json, size_t len,
                                      struct bawn_error *err)
{
    struct parse p = { .cfg = cfg, .json = json, .len = len, .err = err };
    enum bawn_status st;
    json_error_t je;
    json_t *root;

    if (len > CONFIG_TEXT_MAX)
        return bawn_fail(err, BAWN_E_CONFIG, "the configuration has %zu bytes: at most %u", len,
                         CONFIG_TEXT_MAX);
    root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &je);
    if (!root)
        return bawn_fail(err, BAWN_E_CONFIG, "line %d: %s", je.line > 0 ? je.line : 1, je.text);
    st = parse_root(&p, root);
    json_decref(root);
    return st;
}

enum bawn_status bawn_vm_config_load(struct bawn_vm_config *cfg, const char *path,
                                     struct bawn_error *err)
{
    struct bawn_error why = { "" };
    struct bawn_file file;
    enum bawn_status st = bawn_file_read(&file, path, CONFIG_TEXT_MAX, err);

    if (st != BAWN_OK)
        return st;
    st = bawn_vm_config_parse(cfg, (const char *)file.data, file.len, &why);
    bawn_file_free(&file);
    return st == BAWN_OK ? st : bawn_fail(err, st, "%.128s: %.350s", path, why.msg);
}

enum bawn_status bawn_vm_config_add_disk(struct bawn_vm_config *cfg, const char *path,
                                         struct bawn_error *err)
{
    char *copy;

    if (cfg->nr_disks == BAWN_MAX_DISKS)
        return bawn_fail(err, BAWN_E_CONFIG, "too many disks: at most %d are served",
                         BAWN_MAX_DISKS);
    copy = strdup(path);
    if (!copy)
        return bawn_fail(err, BAWN_E_NOMEM, "out of memory");
    cfg->disk[cfg->nr_disks++] = (struct bawn_disk_config){ .path = copy };
    return BAWN_OK;
}

enum bawn_status bawn_vm_config_add_net(struct bawn_vm_config *cfg, struct bawn_error *err)
{
    if (cfg->nr_nets == BAWN_MAX_NETS)
        return bawn_fail(err, BAWN_E_CONFIG, "too many network devices: at most %d are served",
                         BAWN_MAX_NETS);
    begin_entry(cfg, true);
    return BAWN_OK;
}

bool bawn_mac_parse(const char *text, uint8_t *mac)
{
    static const uint8_t none[6];

    for (unsigned i = 0; i < 6; i++, text += 3) {
        int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

        if (low < 0 || text[2] != (i < 5 ? ':' : '\0'))
            return false;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    return !(mac[0] & 1) && memcmp(mac, none, sizeof(none)) != 0;
}

bool bawn_hex_parse(const char *text, uint8_t *bytes, size_t len)
{
    return strlen(text) == 2 * len && hex_parse(text, bytes, len);
}

bool bawn_u64_parse(const char *text, uint64_t *n)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hex ? text + 2 : text;
    unsigned long long value;
    char *end;

    if (hex ? hex_digit(*digits) < 0 : *digits < '0' || *digits > '9')
        return false;
    errno = 0;
    value = strtoull(digits, &end, hex ? 16 : 10);
    if (*end || errno)
        return false;
    *n = value;
    return true;
}

enum bawn_status bawn_size_parse(const char *text, uint64_t *bytes, struct bawn_error *err)
{
    static const struct {
        char suffix;
        unsigned shift;
    } units[] = { { '\0', 0 }, { 'K', 10 }, { 'M', 20 }, { 'G', 30 } };
    unsigned long long n;
    char *end;

    errno = 0;
    n = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && !errno) {
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            bool last = end[0] == '\0' || end[1] == '\0';

            if (end[0] == units[i].suffix && last && n <= UINT64_MAX >> units[i].shift) {
                *bytes = (uint64_t)n << units[i].shift;
                return BAWN_OK;
            }
        }
    }
    return bawn_fail(err, BAWN_E_USAGE,
                     "size \"%.40s\": must be a number of bytes, or one with K, M or G", text);
}

static enum bawn_status check_stream(const char *name, const struct bawn_stream_config *s,
                                     struct bawn_error *err)
{
    if (s->mode == BAWN_STREAM_FILE && (!s->path || !s->path[0]))
        return bawn_fail(err, BAWN_E_CONFIG, "%s.mode is File: %s.file must name one", name, name);
    return BAWN_OK;
}

static enum bawn_status check_devices(const struct bawn_vm_config *cfg, struct bawn_error *err)
{
    enum bawn_status st = check_stream("serial", &cfg->serial, err);

    if (st == BAWN_OK)
        st = check_stream("console", &cfg->console, err);
    for (unsigned i = 0; st == BAWN_OK && i < cfg->nr_disks; i++) {
        if (!cfg->disk[i].path || !cfg->disk[i].path[0])
            st = bawn_fail(err, BAWN_E_CONFIG, "disks[%u].path is missing: must name a file", i);
        else if (cfg->disk[i].backing && cfg->disk[i].format != BAWN_DISK_QCOW2)
            st = bawn_fail(err, BAWN_E_CONFIG, "disks[%u].backing needs an image in format qcow2",
                           i);
    }
    for (unsigned i = 0; st == BAWN_OK && i < cfg->nr_nets; i++) {
        if (!!cfg->net[i].tap + !!cfg->net[i].socket + (cfg->net[i].fd >= 0) != 1)
            st = bawn_fail(err, BAWN_E_CONFIG, "net[%u] must have one of tap, socket and fds", i);
    }
    if (st == BAWN_OK && !cfg->balloon.on && cfg->balloon.reporting)
        st = bawn_fail(err, BAWN_E_CONFIG, "balloon must have a size, such as 0");
    if (st == BAWN_OK && (cfg->balloon.size % 4096 || cfg->balloon.size >= cfg->memory))
        st = bawn_fail(err, BAWN_E_CONFIG, "balloon.size must be less than memory.size, in 4096s");
    if (st == BAWN_OK && cfg->balloon.on && cfg->snp.on)
        st = bawn_fail(err, BAWN_E_CONFIG, "balloon: a confidential machine keeps its memory");
    if (st == BAWN_OK && !cfg->vsock.cid != !cfg->vsock.socket)
        st = bawn_fail(err, BAWN_E_CONFIG, "vsock must have both cid and socket");
    return st;
}

/* AMD 56860, 4.3. What else a policy must be is the firmware's to say. */
static enum bawn_status check_snp(const struct bawn_snp_config *snp, struct bawn_error *err)
{
    if (!(snp->policy & BAWN_SNP_POLICY_ONE) || (snp->policy & BAWN_SNP_POLICY_RESERVED))
        return bawn_fail(err, BAWN_E_CONFIG,
                         "platform.snp_policy is 0x%" PRIx64
                         ": bit 17 must be one, and bits 26 and above zero",
                         snp->policy);
    if (snp->id_auth && !snp->id_block)
        return bawn_fail(err, BAWN_E_CONFIG, "platform.snp_id_auth needs platform.snp_id_block");
    return BAWN_OK;
}

enum bawn_status bawn_vm_config_check(const struct bawn_vm_config *cfg, struct bawn_error *err)
{
    enum bawn_status st;

    if (!cfg->kernel || !cfg->kernel[0])
        return bawn_fail(err, BAWN_E_CONFIG, "payload.kernel is missing: must name a kernel");
    if (cfg->vcpus < 1 || cfg->vcpus > BAWN_MAX_VCPUS)
        return bawn_fail(err, BAWN_E_CONFIG, "cpus.boot_vcpus is %u: must be 1 to %d", cfg->vcpus,
                         BAWN_MAX_VCPUS);
    if (cfg->memory < BAWN_MEM_MIN || cfg->memory > BAWN_MEM_MAX)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "memory.size is %" PRIu64 ": must be %llu (64 MiB) to %llu (64 GiB)",
                         cfg->memory, BAWN_MEM_MIN, BAWN_MEM_MAX);
    if (cfg->memory % BAWN_MEM_ALIGN)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "memory.size is %" PRIu64 ": must be a multiple of %llu (2 MiB)",
                         cfg->memory, BAWN_MEM_ALIGN);
    if (cfg->firmware && !cfg->snp.on)
        return bawn_fail(err, BAWN_E_CONFIG, "payload.firmware needs platform.sev_snp");
    st = check_devices(cfg, err);
    return st == BAWN_OK && cfg->snp.on ? check_snp(&cfg->snp, err) : st;
}
