// SPDX-License-Identifier: Apache-2.0
/*
 * The checks of a host: a table of functions over what was read. Every text is hostile: it is cut,
 * and made printable, before it is compared or told.
 */
#include "attest/audit/host.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/jose/jose.h"

#define TEXT 160 /* of what was found */
#define TOOL "give what systemd-analyze security --json=short prints"

const char *const host_state_names[] = {
    [HOST_OK] = "ok",
    [HOST_WARN] = "warn",
    [HOST_FAIL] = "fail",
    [HOST_NONE] = "not applicable",
};

struct sink {
    host_finding_fn fn;
    void *context;
};

/* In printable ASCII, with one blank for each run of others; at most size - 1. */
static void clean(const char *text, size_t len, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n + 1 < size; i++) {
        bool plain = text[i] > ' ' && text[i] <= '~';

        if (plain || (n && out[n - 1] != ' '))
            out[n++] = plain ? text[i] : ' ';
    }
    while (n && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

__attribute__((format(printf, 5, 6))) static void tell(struct sink *s, const char *id,
                                                       enum host_state state, const char *advice,
                                                       const char *format, ...)
{
    char raw[2 * TEXT], found[TEXT];
    va_list args;

    va_start(args, format);
    vsnprintf(raw, sizeof(raw), format, args);
    va_end(args);
    clean(raw, strlen(raw), found, sizeof(found));
    s->fn(s->context, &(struct host_finding){
                          .id = id,
                          .state = state,
                          .found = found,
                          .advice = state == HOST_WARN || state == HOST_FAIL ? advice : "" });
}

/* A fact's text; false: there is none. */
static bool text_of(const struct host_facts *f, enum host_fact fact, char *out, size_t size)
{
    struct bawn_bytes b = f->fact[fact];

    out[0] = '\0';
    if (b.data)
        clean((const char *)b.data, b.len, out, size);
    return b.data != NULL;
}

static long number_of(const struct host_facts *f, enum host_fact fact)
{
    char text[TEXT], *end;
    long n;

    if (!text_of(f, fact, text, sizeof(text)) || !text[0])
        return -1;
    n = strtol(text, &end, 10);
    return *end || n < 0 ? -1 : n;
}

static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = text; (p = strstr(p, word)); p += len)
        if ((p == text || p[-1] == ' ') && (!p[len] || p[len] == ' '))
            return true;
    return false;
}

/* ---- The kernel ---- */

/* "none [integrity] confidentiality" */
static bool locked_down(const char *text)
{
    return strstr(text, "[integrity]") || strstr(text, "[confidentiality]");
}

static void lockdown(const struct host_facts *f, struct sink *s)
{
    const char *advice = "start the kernel with lockdown=integrity, or with secure boot on a "
                         "kernel that locks itself then";
    char text[TEXT];

    if (!text_of(f, FACT_LOCKDOWN, text, sizeof(text)))
        tell(s, "kernel.lockdown", HOST_WARN, advice, "this kernel has none");
    else
        tell(s, "kernel.lockdown", locked_down(text) ? HOST_OK : HOST_WARN, advice, "%s", text);
}

static void release(const struct host_facts *f, struct sink *s)
{
    char text[TEXT], *dot = text, *end = text;
    unsigned long major = 0, minor = 0;

    if (text_of(f, FACT_RELEASE, text, sizeof(text)) && text[0] >= '0' && text[0] <= '9') {
        major = strtoul(text, &dot, 10);
        if (dot[0] == '.' && dot[1] >= '0' && dot[1] <= '9')
            minor = strtoul(dot + 1, &end, 10);
    }
    if (end == text)
        tell(s, "kernel.release", HOST_WARN, "say which kernel runs", "unknown");
    else
        tell(s, "kernel.release", major > 6 || (major == 6 && minor >= 12) ? HOST_OK : HOST_FAIL,
             "bawn.ko needs Linux 6.12 or later", "%s", text);
}

static void command_line(const struct host_facts *f, struct sink *s)
{
    static const struct {
        const char *word;
        enum host_state state;
    } bad[] = {
        { "mitigations=off", HOST_FAIL },
        { "iommu=off", HOST_FAIL },
        { "amd_iommu=off", HOST_FAIL },
        { "intel_iommu=off", HOST_FAIL },
        { "nospectre_v2", HOST_FAIL },
        { "spectre_v2=off", HOST_FAIL },
        { "spec_rstack_overflow=off", HOST_FAIL },
        { "retbleed=off", HOST_FAIL },
        { "nopti", HOST_FAIL },
        { "nosmep", HOST_FAIL },
        { "nosmap", HOST_FAIL },
        { "nokaslr", HOST_WARN },
        { "iommu=pt", HOST_WARN },
        { "iommu.passthrough=1", HOST_WARN },
        { "iommu.strict=0", HOST_WARN },
        { "module.sig_enforce=0", HOST_WARN },
        { "slub_debug=-", HOST_WARN },
        { "no_hash_pointers", HOST_WARN },
    };
    enum host_state state = HOST_OK;
    char text[4096], found[TEXT] = "";
    size_t len = 0;

    if (!text_of(f, FACT_CMDLINE, text, sizeof(text))) {
        tell(s, "kernel.command-line", HOST_WARN, "say how the kernel was started", "unknown");
        return;
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!has_word(text, bad[i].word) || len + strlen(bad[i].word) + 2 > sizeof(found))
            continue;
        len += (size_t)snprintf(found + len, sizeof(found) - len, "%s ", bad[i].word);
        if (bad[i].state > state)
            state = bad[i].state;
    }
    tell(s, "kernel.command-line", state, "start the kernel without these", "%s",
         len ? found : "nothing that weakens it");
}

/* Linux's Documentation/admin-guide/tainted-kernels.rst. */
static void taint(const struct host_facts *f, struct sink *s)
{
    static const struct {
        const char *what;
        unsigned bit;
        enum host_state state;
    } bits[] = {
        { "a module was forced in", 1, HOST_FAIL },
        { "a module was forced out", 3, HOST_FAIL },
        { "machine check", 4, HOST_FAIL },
        { "bad page", 5, HOST_FAIL },
        { "the kernel died", 7, HOST_FAIL },
        { "warning", 9, HOST_WARN },
        { "proprietary module", 0, HOST_WARN },
        { "ACPI table overridden", 8, HOST_WARN },
        { "staging driver", 10, HOST_WARN },
        { "unsigned module", 13, HOST_FAIL },
        { "soft lockup", 14, HOST_WARN },
        { "test module: the software platform", 18, HOST_FAIL },
    };
    long value = number_of(f, FACT_TAINT);
    enum host_state state = HOST_OK;
    char found[TEXT];
    size_t len;

    if (value < 0) {
        tell(s, "kernel.taint", HOST_WARN, "say what is in /proc/sys/kernel/tainted", "unknown");
        return;
    }
    len = (size_t)snprintf(found, sizeof(found), "%ld", value);
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        if (!(value >> bits[i].bit & 1) || len + strlen(bits[i].what) + 3 > sizeof(found))
            continue;
        len += (size_t)snprintf(found + len, sizeof(found) - len, ", %s", bits[i].what);
        if (bits[i].state > state)
            state = bits[i].state;
    }
    tell(s, "kernel.taint", state, "find out why, and start the host anew without it", "%s", found);
}

static void module_signatures(const struct host_facts *f, struct sink *s)
{
    const char *advice = "start with module.sig_enforce=1 or lockdown=integrity, and sign bawn.ko "
                         "with a key that the firmware or the kernel trusts";
    char enforce[TEXT], locked[TEXT];
    bool is_locked = text_of(f, FACT_LOCKDOWN, locked, sizeof(locked)) && locked_down(locked);

    if (!text_of(f, FACT_SIG_ENFORCE, enforce, sizeof(enforce)))
        tell(s, "kernel.module-signatures", HOST_WARN, advice, "this kernel checks none");
    else if (is_locked || !strcmp(enforce, "Y"))
        tell(s, "kernel.module-signatures", HOST_OK, "", "enforced");
    else
        tell(s, "kernel.module-signatures", HOST_WARN, advice, "not enforced");
}

static void kexec(const struct host_facts *f, struct sink *s)
{
    char locked[TEXT];
    bool is_locked = text_of(f, FACT_LOCKDOWN, locked, sizeof(locked)) && locked_down(locked);

    if (number_of(f, FACT_KEXEC_OFF) == 1 || is_locked)
        tell(s, "kernel.kexec", HOST_OK, "", "only signed kernels, or none");
    else
        tell(s, "kernel.kexec", HOST_WARN, "set kernel.kexec_load_disabled=1",
             "another kernel can be started without a signature");
}

static void sysctls(const struct host_facts *f, struct sink *s)
{
    static const struct {
        enum host_fact fact;
        const char *name;
        long least;
    } wants[] = {
        { FACT_KPTR, "kernel.kptr_restrict", 1 },
        { FACT_DMESG, "kernel.dmesg_restrict", 1 },
        { FACT_PTRACE, "kernel.yama.ptrace_scope", 1 },
        { FACT_BPF, "kernel.unprivileged_bpf_disabled", 1 },
        { FACT_PERF, "kernel.perf_event_paranoid", 2 },
    };
    for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
        long value = number_of(f, wants[i].fact);
        char id[64], advice[96];

        snprintf(id, sizeof(id), "sysctl.%s", wants[i].name);
        snprintf(advice, sizeof(advice), "set %s=%ld or more", wants[i].name, wants[i].least);
        if (value < 0)
            tell(s, id, HOST_NONE, "", "this kernel has none");
        else
            tell(s, id, value >= wants[i].least ? HOST_OK : HOST_WARN, advice, "%ld", value);
    }
}

/* ---- Processor, IOMMU, firmware ---- */

static void vulnerabilities(const struct host_facts *f, struct sink *s)
{
    if (!f->nr_vulnerabilities)
        tell(s, "cpu.vulnerability", HOST_WARN, "mount sysfs", "the kernel says nothing");
    for (size_t i = 0; i < f->nr_vulnerabilities; i++) {
        const struct host_named *v = &f->vulnerability[i];
        enum host_state state = HOST_OK;
        char text[TEXT], id[96], name[64];

        clean((const char *)v->text.data, v->text.len, text, sizeof(text));
        clean(v->name, strlen(v->name), name, sizeof(name));
        snprintf(id, sizeof(id), "cpu.vulnerability.%s", name);
        if (!strncmp(text, "Vulnerable", 10))
            state = HOST_FAIL;
        else if (strcasestr(text, "vulnerable") || strncmp(text, "Unknown", 7) == 0 || !text[0])
            state = HOST_WARN;
        tell(s, id, state, "update microcode and kernel, and start without mitigations=off", "%s",
             text);
    }
}

static void smt(const struct host_facts *f, struct sink *s)
{
    long active = number_of(f, FACT_SMT);

    if (active < 0)
        tell(s, "cpu.smt", HOST_NONE, "", "the kernel says nothing");
    else
        tell(s, "cpu.smt", active ? HOST_WARN : HOST_OK,
             "switch SMT off, or give each machine a core-scheduling cookie (docs/speculation.md)",
             "%s", active ? "threads share cores" : "off");
}

/* The value of a line "name : value" of the first processor, or of the next one behind *at. */
static bool cpu_line(struct bawn_bytes info, const char *name, size_t *at, char *out, size_t size)
{
    size_t len = strlen(name);

    while (*at < info.len) {
        const char *line = (const char *)info.data + *at;
        const char *end = memchr(line, '\n', info.len - *at);
        size_t n = end ? (size_t)(end - line) : info.len - *at;
        const char *colon = memchr(line, ':', n);

        *at += n + 1;
        if (n > len && !memcmp(line, name, len) && (line[len] == '\t' || line[len] == ' ') &&
            colon) {
            clean(colon + 1, n - (size_t)(colon + 1 - line), out, size);
            return true;
        }
    }
    return false;
}

static void microcode(const struct host_facts *f, struct sink *s)
{
    struct bawn_bytes info = f->fact[FACT_CPUINFO];
    char first[64], text[64];
    bool same = true;
    size_t at = 0;

    if (!cpu_line(info, "microcode", &at, first, sizeof(first))) {
        tell(s, "cpu.microcode", HOST_NONE, "", "the kernel says nothing");
        return;
    }
    while (same && cpu_line(info, "microcode", &at, text, sizeof(text)))
        same = !strcmp(first, text);
    if (same)
        tell(s, "cpu.microcode", HOST_OK, "", "%s on all processors", first);
    else
        tell(s, "cpu.microcode", HOST_FAIL, "load the same microcode everywhere, early",
             "%s and %s", first, text);
}

static void iommu(const struct host_facts *f, struct sink *s)
{
    tell(s, "iommu.active", f->nr_iommus ? HOST_OK : HOST_FAIL,
         "enable the IOMMU in the firmware: without it devices write to all memory", "%u",
         f->nr_iommus);
}

static bool cpu_flag(const struct host_facts *f, const char *flag)
{
    static char flags[8192]; /* one thread */
    size_t at = 0;

    return cpu_line(f->fact[FACT_CPUINFO], "flags", &at, flags, sizeof(flags)) &&
           has_word(flags, flag);
}

static void svm(const struct host_facts *f, struct sink *s)
{
    bool have = cpu_flag(f, "svm"), npt = cpu_flag(f, "npt");

    tell(s, "tee.svm", have && npt ? HOST_OK : HOST_FAIL,
         "bawn.ko needs AMD SVM with nested paging, enabled in the firmware", "%s%s",
         have ? "svm" : "no svm", have && !npt ? " without npt" : "");
}

static void sev(const struct host_facts *f, struct sink *s)
{
    char text[TEXT];

    if (!cpu_flag(f, "sev_snp"))
        tell(s, "tee.snp", HOST_NONE, "", "the processor has no SEV-SNP, or it is off");
    else if (!text_of(f, FACT_KVM_AMD_SNP, text, sizeof(text)))
        tell(s, "tee.snp", HOST_OK, "", "the processor has it; kvm_amd is not loaded");
    else
        tell(s, "tee.snp", !strcmp(text, "Y") ? HOST_OK : HOST_WARN,
             "enable SNP in the firmware (RMP coverage, IOMMU) and in the kernel", "kvm_amd: %s",
             text);
}

static uint64_t le64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* SNP_PLATFORM_STATUS's answer, AMD 56860, 8.3, table 38. */
static void snp_firmware(const struct host_facts *f, struct sink *s)
{
    struct bawn_bytes b = f->fact[FACT_SNP_STATUS];
    const char *advice = "";
    enum host_state state = HOST_OK;
    uint64_t current, reported;

    if (!b.data || b.len != 32) {
        tell(s, "tee.snp-firmware", cpu_flag(f, "sev_snp") ? HOST_WARN : HOST_NONE,
             "run as root on the host, with the ccp driver loaded", "the firmware was not asked");
        return;
    }
    current = le64(b.data + 16);
    reported = le64(b.data + 24);
    if (!(b.data[3] & 1)) {
        state = HOST_FAIL;
        advice = "the RMP is not initialised: enable SNP in the firmware and in the kernel";
    } else if (b.data[0] < 1 || (b.data[0] == 1 && b.data[1] < 51)) {
        state = HOST_FAIL;
        advice = "update the SEV firmware to ABI 1.51 or later";
    } else if (b.data[8] & 2) {
        state = HOST_WARN;
        advice = "MASK_CHIP_KEY is set: reports are not signed by the chip's key";
    } else if (current != reported) {
        state = HOST_WARN;
        advice = "commit the firmware, or report the level that runs: verifiers see the lower one";
    }
    tell(s, "tee.snp-firmware", state, advice,
         "ABI %u.%u, TCB current %016" PRIx64 ", reported %016" PRIx64 ", %s", b.data[0], b.data[1],
         current, reported, b.data[3] & 1 ? "RMP initialised" : "no RMP");
}

static void tdx(const struct host_facts *f, struct sink *s)
{
    char text[TEXT];

    if (!text_of(f, FACT_KVM_INTEL_TDX, text, sizeof(text)))
        tell(s, "tee.tdx", HOST_NONE, "", "kvm_intel with TDX is not loaded");
    else
        tell(s, "tee.tdx", !strcmp(text, "Y") ? HOST_OK : HOST_WARN,
             "enable TDX in the firmware; bawn.ko does not serve it, kvm_intel does",
             "kvm_intel: %s", text);
}

static void secure_boot(const struct host_facts *f, struct sink *s)
{
    struct bawn_bytes b = f->fact[FACT_SECURE_BOOT]; /* UEFI 2.10, 3.3: attributes, value */
    bool on = b.data && b.len == 5 && b.data[4] == 1;

    tell(s, "boot.secure-boot", on ? HOST_OK : HOST_WARN,
         "enable secure boot, with keys of your own where you can", "%s",
         on       ? "on"
         : b.data ? "off"
                  : "no UEFI variable says so");
}

static void tpm(const struct host_facts *f, struct sink *s)
{
    long major = number_of(f, FACT_TPM);

    if (major == 2)
        tell(s, "boot.tpm", HOST_OK, "", "TPM 2.0");
    else
        tell(s, "boot.tpm", HOST_WARN,
             "enable the TPM: without one the host's own start cannot be attested", "%s",
             major < 0 ? "none" : "not 2.0");
}

/* ---- Memory and dumps ---- */

static void swap(const struct host_facts *f, struct sink *s)
{
    struct bawn_bytes b = f->fact[FACT_SWAPS];
    const char *line = (const char *)b.data;
    size_t lines = 0;
    char last[TEXT] = "";

    for (size_t at = 0; at < b.len;) {
        const char *end = memchr(line + at, '\n', b.len - at);
        size_t n = end ? (size_t)(end - line) - at : b.len - at;

        if (n && lines++) /* behind the heading */
            clean(line + at, n, last, sizeof(last));
        at += n + 1;
    }
    if (!b.data)
        tell(s, "memory.swap", HOST_WARN, "mount /proc", "unknown");
    else
        tell(s, "memory.swap", lines > 1 ? HOST_WARN : HOST_OK,
             "plain guests' memory goes there: encrypt it with a key that is lost at power-off, or "
             "switch it off",
             "%s", lines > 1 ? last : "none");
}

static void ksm(const struct host_facts *f, struct sink *s)
{
    long run = number_of(f, FACT_KSM);

    if (run < 0)
        tell(s, "memory.ksm", HOST_NONE, "", "this kernel has none");
    else
        tell(s, "memory.ksm", run == 1 ? HOST_FAIL : HOST_OK,
             "echo 2 > /sys/kernel/mm/ksm/run: pages that guests share tell one of the other", "%s",
             run == 1 ? "merges pages" : "off");
}

static void thp(const struct host_facts *f, struct sink *s)
{
    char text[TEXT];

    if (!text_of(f, FACT_THP, text, sizeof(text)))
        tell(s, "memory.huge-pages", HOST_NONE, "", "this kernel has none");
    else
        tell(s, "memory.huge-pages",
             strstr(text, "[madvise]") || strstr(text, "[always]") ? HOST_OK : HOST_WARN,
             "set it to madvise: guests of small pages are slow, no less safe", "%s", text);
}

static void core_dumps(const struct host_facts *f, struct sink *s)
{
    long suid = number_of(f, FACT_SUID_DUMPABLE);
    char text[TEXT];
    bool none;

    if (!text_of(f, FACT_CORE_PATTERN, text, sizeof(text))) {
        tell(s, "dumps.core", HOST_WARN, "mount /proc", "unknown");
        return;
    }
    none = !text[0] || !strcmp(text, "|/bin/false") || !strcmp(text, "|/usr/bin/false") ||
           !strcmp(text, "/dev/null");
    tell(
        s, "dumps.core",
        suid > 0 && suid != 2 ? HOST_FAIL
        : none                ? HOST_OK
                              : HOST_WARN,
        suid > 0 && suid != 2
            ? "set fs.suid_dumpable=0"
            : "bawn's processes leave none; other VMMs may: set kernel.core_pattern=|/bin/false or "
              "see who can read them",
        "core_pattern %s, suid_dumpable %ld", text[0] ? text : "(empty)", suid);
}

static void crash_kernel(const struct host_facts *f, struct sink *s)
{
    long loaded = number_of(f, FACT_CRASH_KERNEL);

    if (loaded < 0)
        tell(s, "dumps.kernel", HOST_NONE, "", "this kernel has none");
    else
        tell(s, "dumps.kernel", loaded ? HOST_WARN : HOST_OK,
             "a dump of the kernel has plain guests' memory: encrypt and guard where it goes", "%s",
             loaded ? "a crash kernel is loaded" : "no crash kernel");
}

/* ---- Bawn itself ---- */

static void module(const struct host_facts *f, struct sink *s)
{
    char taints[TEXT], version[TEXT];

    if (!text_of(f, FACT_BAWN_TAINT, taints, sizeof(taints))) {
        tell(s, "bawn.module", HOST_NONE, "", "bawn.ko is not loaded");
        return;
    }
    text_of(f, FACT_BAWN_VERSION, version, sizeof(version));
    tell(s, "bawn.module",
         strchr(taints, 'E')   ? HOST_FAIL
         : strchr(taints, 'F') ? HOST_FAIL
                               : HOST_OK,
         "sign bawn.ko, and load it without force", "taint %s, source %s",
         taints[0] ? taints : "none", version[0] ? version : "unknown");
}

static void platform(const struct host_facts *f, struct sink *s)
{
    bool loaded = f->fact[FACT_PLATFORM].data != NULL;

    tell(s, "bawn.software-platform", loaded ? HOST_FAIL : HOST_OK,
         "unload bawn_platform: it keeps no guest's secret, and is for tests alone", "%s",
         loaded ? "bawn_platform.ko is loaded" : "not loaded");
}

static void nodes(const struct host_facts *f, struct sink *s)
{
    static const char *const ids[] = { "device.bawn", "device.kvm" };

    for (unsigned i = 0; i < 2; i++) {
        const struct host_node *n = &f->node[i];

        if (!n->there)
            tell(s, ids[i], HOST_NONE, "", "/%s is not there", n->path);
        else
            tell(s, ids[i],
                 n->mode & 07 ? HOST_FAIL
                 : n->uid     ? HOST_WARN
                              : HOST_OK,
                 "give it to root and one group, mode 0660", "mode %04o, owner %u:%u",
                 (unsigned)n->mode & 07777, n->uid, n->gid);
    }
}

static double exposure_of(const json_t *unit)
{
    const json_t *value = json_object_get(unit, "exposure");
    const char *text = json_string_value(value);
    char *end;
    double d;

    if (json_is_number(value))
        return json_number_value(value);
    d = text && *text ? strtod(text, &end) : -1;
    return text && *text && !*end && d >= 0 && d <= 10 ? d : -1;
}

static void one_unit(const json_t *unit, struct sink *s)
{
    const char *name = json_string_value(json_object_get(unit, "unit"));
    double exposure = exposure_of(unit);
    char id[128], plain[96];

    if (!name || strncmp(name, "bawn", 4) != 0)
        return;
    clean(name, strlen(name), plain, sizeof(plain));
    snprintf(id, sizeof(id), "unit.%s", plain);
    if (exposure < 0)
        tell(s, id, HOST_WARN, TOOL, "no exposure from 0 to 10");
    else
        tell(s, id,
             exposure <= 2.0   ? HOST_OK
             : exposure <= 5.0 ? HOST_WARN
                               : HOST_FAIL,
             "use the unit as shipped; systemd-analyze security UNIT says what is open",
             "exposure %.1f of 10", exposure);
}

static void units(const struct host_facts *f, struct sink *s)
{
    struct bawn_error err;
    json_t *list = NULL;
    size_t i;

    if (!f->units.data) {
        tell(s, "unit.exposure", HOST_NONE, "", "systemd was not asked");
        return;
    }
    if (json_read(f->units, &list, &err) != BAWN_OK || !json_is_array(list))
        tell(s, "unit.exposure", HOST_WARN, TOOL, "not what systemd-analyze security --json says");
    else if (json_array_size(list) > 4096)
        tell(s, "unit.exposure", HOST_WARN, TOOL, "more than 4096 units");
    else
        for (i = 0; i < json_array_size(list); i++)
            one_unit(json_array_get(list, i), s);
    json_decref(list);
}

/* ---- All ---- */

static void (*const checks[])(const struct host_facts *f, struct sink *s) = {
    release,
    lockdown,
    command_line,
    taint,
    module_signatures,
    kexec,
    sysctls,
    vulnerabilities,
    smt,
    microcode,
    iommu,
    svm,
    sev,
    snp_firmware,
    tdx,
    secure_boot,
    tpm,
    swap,
    ksm,
    thp,
    core_dumps,
    crash_kernel,
    module,
    platform,
    nodes,
    units,
};

void host_check(const struct host_facts *facts, host_finding_fn fn, void *context)
{
    struct sink s = { fn, context };

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        checks[i](facts, &s);
}
