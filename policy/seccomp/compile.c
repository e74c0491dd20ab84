// SPDX-License-Identifier: Apache-2.0
/*
 * Makes a seccomp filter of a policy: compile POLICY FILTER; compile --count POLICY prints how many
 * system calls it allows. Runs when Bawn is built, on files of its own tree.
 *
 * A policy has one rule in a line, "CALL", or "CALL argN is|has|lacks VALUE ..." where all must
 * hold; has and lacks are for bits. Several lines for a call are alternatives. Values are numbers,
 * or names of the table below. Everything else ends the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALLS_MAX 64
#define ARGS 6 /* of a system call */
#define LINE_MAX_LEN 256
#define SPACES " \t\n"

#define NAME(x) \
    {           \
#x, (x) \
    }
static const struct {
    const char *name;
    unsigned long value;
} names[] = {
    NAME(KVM_RUN),
    NAME(KVM_SIGNAL_MSI),
    NAME(KVM_SET_GSI_ROUTING),
    NAME(KVM_IRQFD),
    NAME(KVM_IOEVENTFD),
    NAME(KVM_SET_MEMORY_ATTRIBUTES),
    NAME(KVM_GET_REGS),
    NAME(KVM_GET_STATS_FD),
    NAME(AF_UNIX),
    NAME(KVM_GET_SREGS),
    NAME(KVM_GET_MP_STATE),
    NAME(KVM_GET_XCRS),
    NAME(KVM_GET_XSAVE),
    NAME(KVM_GET_DEBUGREGS),
    NAME(KVM_GET_LAPIC),
    NAME(KVM_GET_VCPU_EVENTS),
    NAME(KVM_GET_MSRS),
    NAME(KVM_GET_CLOCK),
    NAME(KVM_SET_USER_MEMORY_REGION),
    NAME(KVM_GET_DIRTY_LOG),
    NAME(UFFDIO_COPY),
    NAME(UFFDIO_WAKE),
    NAME(UFFDIO_UNREGISTER),
    NAME(MADV_DONTNEED),
    NAME(MADV_REMOVE),
    NAME(TUNSETOFFLOAD),
    NAME(PROT_EXEC),
    NAME(MAP_ANONYMOUS),
};

struct policy {
    const char *path;
    scmp_filter_ctx ctx;
    int call[CALLS_MAX];
    unsigned nr_calls, line;
};

static bool fail(const struct policy *p, const char *what, const char *word)
{
    fprintf(stderr, "%s:%u: %s: %s\n", p->path, p->line, what, word ? word : "nothing");
    return false;
}

static bool find_value(const char *word, unsigned long *value)
{
    char *end;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(names[i].name, word)) {
            *value = names[i].value;
            return true;
        }
    }
    *value = strtoul(word, &end, 0);
    return *word >= '0' && *word <= '9' && !*end;
}

/* "argN is VALUE". */
static bool parse_condition(const struct policy *p, const char *arg, struct scmp_arg_cmp *cmp)
{
    const char *how = strtok(NULL, SPACES), *word = strtok(NULL, SPACES);
    unsigned long value = 0;

    if (strncmp(arg, "arg", 3) || arg[3] < '0' || arg[3] > '5' || arg[4])
        return fail(p, "no argument", arg);
    if (!how || !word || !find_value(word, &value) || value > UINT32_MAX)
        return fail(p, "no value", word);
    *cmp = (struct scmp_arg_cmp){ .arg = (unsigned)(arg[3] - '0'), .op = SCMP_CMP_MASKED_EQ };
    /* The kernel looks at 32 bits of these, and so does the filter. */
    cmp->datum_a = strcmp(how, "is") ? value : UINT32_MAX;
    cmp->datum_b = strcmp(how, "lacks") ? value : 0;
    return !strcmp(how, "is") || !strcmp(how, "has") || !strcmp(how, "lacks") ||
           fail(p, "neither is, has nor lacks", how);
}

static bool count(struct policy *p, int call)
{
    for (unsigned i = 0; i < p->nr_calls; i++) {
        if (p->call[i] == call)
            return true;
    }
    if (p->nr_calls == CALLS_MAX)
        return false;
    p->call[p->nr_calls++] = call;
    return true;
}

static bool parse_line(struct policy *p, char *line)
{
    char *name, *arg;
    struct scmp_arg_cmp cmp[ARGS];
    unsigned nr = 0;
    int call, r;

    line[strcspn(line, "#")] = '\0';
    name = strtok(line, SPACES);
    if (!name)
        return true;
    call = seccomp_syscall_resolve_name(name);
    if (call < 0 || !count(p, call))
        return fail(p, "no system call", name);
    while ((arg = strtok(NULL, SPACES))) {
        if (nr == ARGS || !parse_condition(p, arg, &cmp[nr++]))
            return fail(p, "no condition", arg);
    }
    r = seccomp_rule_add_array(p->ctx, SCMP_ACT_ALLOW, call, nr, cmp);
    return !r || fail(p, strerror(-r), name);
}

static bool parse(struct policy *p)
{
    char line[LINE_MAX_LEN];
    FILE *file = fopen(p->path, "r");
    bool ok = true;

    if (!file)
        return fail(p, "cannot open it", strerror(errno));
    while (ok && fgets(line, sizeof(line), file)) {
        p->line++;
        ok = (strchr(line, '\n') || fail(p, "too long", line)) && parse_line(p, line);
    }
    fclose(file);
    return ok;
}

static bool export(const struct policy *p, const char *to)
{
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int r = fd < 0 ? -errno : seccomp_export_bpf(p->ctx, fd);

    if (fd >= 0)
        close(fd);
    if (r)
        fprintf(stderr, "%s: %s\n", to, strerror(-r));
    return !r;
}

int main(int argc, char **argv)
{
    struct policy p = { .ctx = seccomp_init(SCMP_ACT_KILL_PROCESS) };
    bool counts = argc == 3 && !strcmp(argv[1], "--count"), ok;

    if (argc != 3 || !p.ctx) {
        fprintf(stderr, "Usage: compile POLICY FILTER, compile --count POLICY\n");
        return 2;
    }
    p.path = argv[counts ? 2 : 1];
    ok = parse(&p);
    if (ok && counts)
        printf("%u\n", p.nr_calls);
    else if (ok)
        ok = export(&p, argv[2]);
    seccomp_release(p.ctx);
    return !ok;
}
