// SPDX-License-Identifier: Apache-2.0
/*
 * The VM's configuration: its life, what of it belongs together, and values as text. As JSON it is
 * in config_json.c. Trusts nothing of the text.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bawn/snp.h"
#include "common/bytes.h"
#include "launch/launch.h"

void bawn_vm_config_init(struct bawn_vm_config *cfg)
{
    *cfg = (struct bawn_vm_config){
        .memory = 512ull << 20,
        .thp = true,
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
    free(disk->id);
}

static void free_net(struct bawn_net_config *net)
{
    free(net->tap);
    free(net->socket);
    free(net->id);
}

static void free_stream(struct bawn_stream_config *stream)
{
    free(stream->path);
    free(stream->socket);
    free(stream->id);
}

void bawn_vm_config_free(struct bawn_vm_config *cfg)
{
    free(cfg->firmware);
    free(cfg->kernel);
    free(cfg->initrd);
    free(cfg->cmdline);
    free_stream(&cfg->serial);
    free_stream(&cfg->console);
    free(cfg->rng_id);
    for (unsigned i = 0; i < cfg->nr_disks; i++)
        free_disk(&cfg->disk[i]);
    for (unsigned i = 0; i < cfg->nr_nets; i++)
        free_net(&cfg->net[i]);
    free(cfg->balloon.id);
    free(cfg->vsock.socket);
    free(cfg->vsock.id);
    free(cfg->tpm);
    free(cfg->snp.id_block);
    free(cfg->snp.id_auth);
    free(cfg->snp.certs);
    memset(cfg, 0, sizeof(*cfg));
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
    cfg->net[cfg->nr_nets++] = (struct bawn_net_config){ .nr_fds = 0 };
    return BAWN_OK;
}

bool bawn_vm_config_hotplug(const struct bawn_vm_config *cfg)
{
    return cfg->hotplug == BAWN_HOTPLUG_ON || (cfg->hotplug == BAWN_HOTPLUG_AUTO && !cfg->snp.on);
}

unsigned bawn_vm_config_max_vcpus(const struct bawn_vm_config *cfg)
{
    return cfg->max_vcpus > cfg->vcpus && bawn_vm_config_hotplug(cfg) && !cfg->snp.on
               ? cfg->max_vcpus
               : cfg->vcpus;
}

/* ---- slots and ids ---- */

static bool slot_taken(const struct bawn_vm_config *cfg, uint8_t slot)
{
    for (unsigned i = 0; i < cfg->nr_disks; i++)
        if (cfg->disk[i].slot == slot)
            return true;
    for (unsigned i = 0; i < cfg->nr_nets; i++)
        if (cfg->net[i].slot == slot)
            return true;
    return false;
}

static bool id_taken(const struct bawn_vm_config *cfg, const char *id)
{
    const char *others[] = { cfg->console.id, cfg->rng_id, cfg->balloon.id, cfg->vsock.id };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (others[i] && !strcmp(others[i], id))
            return true;
    for (unsigned i = 0; i < cfg->nr_disks; i++)
        if (cfg->disk[i].id && !strcmp(cfg->disk[i].id, id))
            return true;
    for (unsigned i = 0; i < cfg->nr_nets; i++)
        if (cfg->net[i].id && !strcmp(cfg->net[i].id, id))
            return true;
    return false;
}

static enum bawn_status place(const struct bawn_vm_config *cfg, const char *kind, uint8_t first,
                              uint8_t *slot, char **id, struct bawn_error *err)
{
    char name[16];

    for (uint8_t n = first; !*slot; n++)
        *slot = slot_taken(cfg, n) ? 0 : n;
    if (*id)
        return BAWN_OK;
    for (unsigned n = *slot - first;; n++) {
        snprintf(name, sizeof(name), "_%s%u", kind, n);
        if (!id_taken(cfg, name))
            break;
    }
    *id = strdup(name);
    return *id ? BAWN_OK : bawn_fail(err, BAWN_E_NOMEM, "out of memory");
}

enum bawn_status bawn_vm_config_place(struct bawn_vm_config *cfg, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (unsigned i = 0; !st && i < cfg->nr_disks; i++)
        st = place(cfg, "disk", BAWN_SLOT_DISK, &cfg->disk[i].slot, &cfg->disk[i].id, err);
    for (unsigned i = 0; !st && i < cfg->nr_nets; i++)
        st = place(cfg, "net", BAWN_SLOT_NET, &cfg->net[i].slot, &cfg->net[i].id, err);
    return st;
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

/* A decimal number of vCPUs, up to the byte that ends it. */
static bool get_vcpus(const char **text, char end, unsigned *n)
{
    char *rest;
    unsigned long value = **text >= '0' && **text <= '9' ? strtoul(*text, &rest, 10) : 0;

    if (value < 1 || value > BAWN_MAX_VCPUS || *rest != end)
        return false;
    *text = rest + 1;
    *n = (unsigned)value;
    return true;
}

bool bawn_cpus_parse(struct bawn_vm_config *cfg, const char *text)
{
    unsigned boot, max = 0;

    if (strncmp(text, "boot=", 5) != 0) {
        if (!get_vcpus(&text, '\0', &boot))
            return false;
    } else {
        text += 5;
        if (!get_vcpus(&text, ',', &boot) || strncmp(text, "max=", 4) != 0)
            return false;
        text += 4;
        if (!get_vcpus(&text, '\0', &max) || max < boot)
            return false;
    }
    cfg->vcpus = boot;
    cfg->max_vcpus = max;
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
    if (s->mode == BAWN_STREAM_SOCKET && (!s->socket || !s->socket[0]))
        return bawn_fail(err, BAWN_E_CONFIG, "%s.mode is Socket: %s.socket must name one", name,
                         name);
    return BAWN_OK;
}

/* What devices are called must tell them apart. */
static enum bawn_status check_ids(const struct bawn_vm_config *cfg, struct bawn_error *err)
{
    const char *id[BAWN_MAX_DISKS + BAWN_MAX_NETS + 4] = { cfg->console.id, cfg->rng_id,
                                                           cfg->balloon.id, cfg->vsock.id };
    unsigned n = 4;

    for (unsigned i = 0; i < cfg->nr_disks; i++)
        id[n++] = cfg->disk[i].id;
    for (unsigned i = 0; i < cfg->nr_nets; i++)
        id[n++] = cfg->net[i].id;
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; id[i] && j < i; j++)
            if (id[j] && !strcmp(id[i], id[j]))
                return bawn_fail(err, BAWN_E_CONFIG, "two devices have the id \"%.64s\"", id[i]);
    return BAWN_OK;
}

/* A slot is one device's. Those of the wrong kind are no value that is parsed. */
static enum bawn_status check_slots(const struct bawn_vm_config *cfg, struct bawn_error *err)
{
    uint32_t taken = 0;

    for (unsigned i = 0; i < cfg->nr_disks + cfg->nr_nets; i++) {
        uint8_t slot = i < cfg->nr_disks ? cfg->disk[i].slot : cfg->net[i - cfg->nr_disks].slot;

        if (slot && (taken & 1u << slot))
            return bawn_fail(err, BAWN_E_CONFIG, "two devices have the pci_device_id %u", slot);
        taken |= slot ? 1u << slot : 0;
    }
    return BAWN_OK;
}

static enum bawn_status check_memory(const struct bawn_vm_config *cfg, struct bawn_error *err)
{
    if (cfg->memory < BAWN_MEM_MIN || cfg->memory > BAWN_MEM_MAX)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "memory.size is %" PRIu64 ": must be %llu (64 MiB) to %llu (64 GiB)",
                         cfg->memory, BAWN_MEM_MIN, BAWN_MEM_MAX);
    if (cfg->memory % BAWN_MEM_ALIGN)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "memory.size is %" PRIu64 ": must be a multiple of %llu (2 MiB)",
                         cfg->memory, BAWN_MEM_ALIGN);
    if (cfg->hugepages && cfg->snp.on)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "memory.hugepages: a confidential machine's memory is the module's");
    if (!cfg->hugepage_size)
        return BAWN_OK;
    if (!cfg->hugepages)
        return bawn_fail(err, BAWN_E_CONFIG, "memory.hugepage_size needs memory.hugepages");
    if (cfg->hugepage_size != 2u << 20 && cfg->hugepage_size != 1u << 30)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "memory.hugepage_size is %" PRIu64 ": must be 2097152 or 1073741824",
                         cfg->hugepage_size);
    if (cfg->memory % cfg->hugepage_size)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "memory.size is %" PRIu64 ": must be a multiple of memory.hugepage_size",
                         cfg->memory);
    return BAWN_OK;
}

static enum bawn_status check_devices(const struct bawn_vm_config *cfg, struct bawn_error *err)
{
    enum bawn_status st = check_stream("serial", &cfg->serial, err);

    if (st == BAWN_OK)
        st = check_stream("console", &cfg->console, err);
    if (st == BAWN_OK && cfg->serial.mode == BAWN_STREAM_TTY &&
        cfg->console.mode == BAWN_STREAM_TTY)
        st = bawn_fail(err, BAWN_E_CONFIG,
                       "serial and console are both tty; one of them must be off, null or a file");
    for (unsigned i = 0; st == BAWN_OK && i < cfg->nr_disks; i++) {
        if (!cfg->disk[i].path || !cfg->disk[i].path[0])
            st = bawn_fail(err, BAWN_E_CONFIG, "disks[%u].path is missing: must name a file", i);
        else if (cfg->disk[i].backing && cfg->disk[i].format != BAWN_DISK_QCOW2)
            st = bawn_fail(err, BAWN_E_CONFIG, "disks[%u].backing needs an image in format qcow2",
                           i);
        else if (cfg->disk[i].uring && cfg->disk[i].format == BAWN_DISK_QCOW2)
            st = bawn_fail(err, BAWN_E_CONFIG,
                           "disks[%u].io_uring is for plain images: leave it out for a qcow2 one",
                           i);
    }
    for (unsigned i = 0; st == BAWN_OK && i < cfg->nr_nets; i++) {
        if (!!cfg->net[i].tap + !!cfg->net[i].socket + !!cfg->net[i].nr_fds != 1)
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
    if (cfg->max_vcpus > BAWN_MAX_VCPUS)
        return bawn_fail(err, BAWN_E_CONFIG, "cpus.max_vcpus is %u: must be at most %d",
                         cfg->max_vcpus, BAWN_MAX_VCPUS);
    if (cfg->firmware && !cfg->snp.on)
        return bawn_fail(err, BAWN_E_CONFIG, "payload.firmware needs platform.sev_snp");
    st = check_memory(cfg, err);
    if (st == BAWN_OK)
        st = check_devices(cfg, err);
    if (st == BAWN_OK)
        st = check_ids(cfg, err);
    if (st == BAWN_OK)
        st = check_slots(cfg, err);
    return st == BAWN_OK && cfg->snp.on ? check_snp(&cfg->snp, err) : st;
}
