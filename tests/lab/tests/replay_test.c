/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs (fuzz/replay) on this backend: userspace sees what it saw on the simulated machine. A
 * difference means that the simulation or the module is wrong. After a change that is meant, the
 * expected text is written anew: `fuzz-replay program all >tests/lab/tests/replay_expected.txt`.
 */
#define _GNU_SOURCE
#include "harness.h"

#include "../../../fuzz/replay/program.c"
#include "replay_expected.h"

static long do_call(void *context, bool of_vcpu, unsigned long request, void *argument, size_t n)
{
    struct vcpu *v = context;

    return kvm_callv(of_vcpu ? v->fd : v->vm->fd, request, n ? (unsigned long)argument : 0);
}

static void do_write(void *context, uint64_t gpa, const void *from, size_t n)
{
    struct vcpu *v = context;

    memcpy(v->vm->mem + gpa, from, n);
}

static void do_read(void *context, uint64_t gpa, void *to, size_t n)
{
    struct vcpu *v = context;

    if (gpa <= REPLAY_MEMORY - n)
        memcpy(to, v->vm->mem + gpa, n);
}

/* The first line that is another one, each side's. */
static void tell(unsigned n, const char *got, const char *want)
{
    size_t at = 0, start = 0;

    while (got[at] && got[at] == want[at])
        if (got[at++] == '\n')
            start = at;
    lab_fail(__FILE__, __LINE__, "program %u: \"%.*s\", simulated \"%.*s\"", n,
             (int)strcspn(got + start, "\n"), got + start, (int)strcspn(want + start, "\n"),
             want + start);
}

static void run_program(unsigned n, const char **expected)
{
    struct vm *vm = vm_new();
    struct replay_machine m = { .call = do_call, .write = do_write, .read = do_read };
    const char *want;
    struct vcpu *v;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    ASSERT(out);
    vm_add_memory(vm);
    memset(vm->mem, 0, REPLAY_MEMORY);
    v = vcpu_raw(vm, 0);
    m.context = v;
    m.run = v->run;
    m.pio = (uint8_t *)v->run + 0x1000 * KVM_PIO_PAGE_OFFSET;
    EXPECT(replay_run(&m, n, out));
    fclose(out);
    want = *expected;
    if (!replay_as_expected(expected, text))
        tell(n, text, want);
    free(text);
    vm_destroy(vm);
}

static void test_programs(void)
{
    const char *expected = replay_expected;

    for (unsigned n = 0; n < REPLAY_PROGRAMS; n++)
        run_program(n, &expected);
    EXPECT(!*expected);
}

static const struct lab_test tests[] = {
    { "programs: userspace sees what it sees on the simulated machine", test_programs },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}
