/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the cases of the table's rows: states, pointers, and values of fields (table.h). */
#define _GNU_SOURCE
#include "table.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#define ARG_MAX_SIZE 0x2000 /* of an argument, its list included */

static const char *const object_names[] = { "dev", "vm", "vcpu" };
static const char *const state_names[] = { "new", "split", "populated", "ran" };

/* ---- Objects ---- */

void world_free(struct world *w)
{
    if (w->vm)
        vm_destroy(w->vm);
    if (w->mem)
        munmap(w->mem, TABLE_MEM);
    if (w->eventfd > 0) {
        close(w->eventfd);
        close(w->other_eventfd);
        close(w->plain_fd);
    }
    *w = (struct world){ 0 };
}

void world_new(struct world *w, enum state state)
{
    world_free(w);
    w->fd[DEV] = lab_kvm;
    w->mem = mmap(NULL, TABLE_MEM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    w->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->other_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->plain_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    ASSERT(w->mem != MAP_FAILED && w->eventfd > 0 && w->plain_fd > 0);
    w->vm = state == NEW ? vm_bare() : vm_split();
    w->fd[VM] = w->vm->fd;
    w->fd[VCPU] = -1;
    if (state < POPULATED)
        return;
    w->vcpu = vcpu_new(w->vm, 0);
    w->fd[VCPU] = w->vcpu->fd;
    if (state == RAN)
        ASSERT_EQ(guest_call(w->vcpu, nop, 0, 0, 0, 0), GUEST_DONE);
}

/* The same for a row of any object: a vCPU is there in every state of it. */
static void world_for(struct world *w, const struct row *row, enum state state)
{
    if (row->object != VCPU) {
        world_new(w, row->object == DEV ? NEW : state);
        return;
    }
    world_new(w, state == SPLIT ? POPULATED : state);
    if (w->vcpu)
        return;
    w->vcpu = vcpu_raw(w->vm, 0);
    w->fd[VCPU] = w->vcpu->fd;
}

const char *table_call(const struct world *w, const struct row *row, unsigned long arg)
{
    int ret = kvm_callv(w->fd[row->object], row->nr, arg);

    if (ret < 0 || !(row->flags & ROW_FD))
        return answer_text(ret);
    close(ret);
    return "fd";
}

const char *text(const char *fmt, ...)
{
    static char buffer[128];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(buffer, sizeof(buffer), fmt, ap);
    va_end(ap);
    return buffer;
}

void table_run(const struct world *w, const char *name, unsigned long arg)
{
    int ret = kvm_callv(w->fd[VCPU], KVM_RUN, arg);
    struct kvm_run *run = w->vcpu->run;
    char full[96];

    snprintf(full, sizeof(full), "vcpu/RUN/%s", name);
    answer(full, "%s, exit %u %u", answer_text(ret), run->exit_reason,
           run->exit_reason == KVM_EXIT_INTERNAL_ERROR ? run->internal.suberror : 0);
}

static void build(const struct world *w, const struct row *row, void *arg)
{
    memset(arg, 0, ARG_MAX_SIZE);
    if (row->build)
        row->build(w, arg);
}

static unsigned long good_argument(const struct world *w, const struct row *row, void *arg)
{
    build(w, row, arg);
    return row->flags & ROW_NUMBER ? *(uint64_t *)arg : (unsigned long)arg;
}

/* ---- States ---- */

static const char *case_name(const struct row *row, const char *what, const char *detail)
{
    static char name[128];

    snprintf(name, sizeof(name), "%s/%s/%s%s", object_names[row->object], row->name, what, detail);
    return name;
}

/* Another process has the files, but not the memory that the VM's slots name. */
static void foreign(const struct world *w, const struct row *row, void *arg)
{
    pid_t pid = fork();

    if (!pid) {
        answer(case_name(row, "in another process", ""), "%s",
               table_call(w, row, good_argument(w, row, arg)));
        _exit(0);
    }
    EXPECT_EQ(waitpid(pid, NULL, 0), pid);
}

/* Stops the vCPU's thread for a call that waits for it. */
static void *kicker(void *argument)
{
    struct vcpu *v = argument;

    usleep(2000);
    v->stop = true;
    v->run->immediate_exit = 1;
    pthread_kill(v->thread, SIGUSR1);
    return NULL;
}

static void running(struct world *w, const struct row *row, void *arg)
{
    volatile uint32_t *count = (uint32_t *)(w->vm->mem + GUEST_DATA);
    unsigned long good = good_argument(w, row, arg);
    pthread_t thread;

    guest_prepare(w->vcpu, GUEST_ADDR(counter), GUEST_DATA, 0, 0, 0);
    *count = 0;
    vcpu_start(w->vcpu, NULL);
    EXPECT(WAIT_FOR(*count != 0));
    ASSERT_EQ(pthread_create(&thread, NULL, kicker, w->vcpu), 0);
    answer(case_name(row, "while it runs", ""), "%s", table_call(w, row, good));
    pthread_join(thread, NULL);
    vcpu_join(w->vcpu);
    w->vcpu->run->immediate_exit = 0;
}

/* Rows that change nothing share their objects. */
static bool reads(const struct row *row)
{
    return _IOC_DIR(row->nr) == _IOC_READ;
}

static void states_of(const struct row *row, struct world *w, void *arg, bool keep)
{
    for (enum state s = NEW; s < (row->object == DEV ? SPLIT : NR_STATES); s++) {
        if (row->object == VCPU && s == SPLIT)
            continue;
        if (!keep || w[s].fd[row->object] <= 0)
            world_for(&w[s], row, s);
        answer(case_name(row, state_names[s], ""), "%s",
               table_call(&w[s], row, good_argument(&w[s], row, arg)));
        answer(case_name(row, state_names[s], " twice"), "%s",
               table_call(&w[s], row, good_argument(&w[s], row, arg)));
    }
    if (row->object == DEV)
        return;
    running(&w[RAN], row, arg);
    foreign(&w[RAN], row, arg);
}

void table_states(void)
{
    struct world w[NR_STATES] = { 0 };
    void *arg = calloc(1, ARG_MAX_SIZE);

    ASSERT(arg);
    for (unsigned reading = 0; reading < 2; reading++)
        for (size_t i = 0; i < table_nr_rows; i++)
            if (reads(&table_rows[i]) == reading)
                states_of(&table_rows[i], w, arg, reading);
    for (enum state s = NEW; s < NR_STATES; s++)
        world_free(&w[s]);
    free(arg);
}

/* ---- Pointers ---- */

/* Three pages of which the first is not there, with prot for the second; the third is not there. */
static uint8_t *island(int prot)
{
    uint8_t *at = mmap(NULL, 0x3000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ASSERT(at != MAP_FAILED);
    if (prot)
        ASSERT_EQ(mprotect(at + 0x1000, 0x1000, prot), 0);
    munmap(at, 0x1000);
    munmap(at + 0x2000, 0x1000);
    return at + 0x1000;
}

static void pointers_of(const struct world *w, const struct row *row, void *arg, uint8_t *page,
                        uint8_t *readonly)
{
    static const struct {
        const char *name;
        unsigned long at;
    } bad[] = {
        { "null", 0 },
        { "one", 1 },
        { "unmapped", 0x1000 },
        { "last user page", 0x7fffffffe000 },
        { "end of user space", 0x7ffffffffff8 },
        { "past user space", 0x800000000000 },
        { "not canonical", 0x8000000000000000 },
        { "kernel", 0xffff888000000000 },
        { "kernel text", 0xffffffff81000000 },
        { "last byte", ~0ul },
    };
    size_t size = _IOC_SIZE(row->nr);

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        answer(case_name(row, "pointer ", bad[i].name), "%s", table_call(w, row, bad[i].at));
    if (size && size <= 0x1000) {
        const struct {
            const char *name;
            uint8_t *at;
        } edges[] = {
            { "one byte over", page + 0x1000 - size + 1 },
            { "one byte in", page + 0xfff },
            { "one byte before", page - 1 },
            { "not aligned", page + 1 },
            { "up to the end", page + 0x1000 - size },
        };

        build(w, row, arg);
        for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
            size_t skip = edges[i].at < page, n = size;

            memset(page, 0, 0x1000);
            if (edges[i].at + n > page + 0x1000)
                n = (size_t)(page + 0x1000 - edges[i].at);
            if (n > skip)
                memcpy(edges[i].at + skip, (uint8_t *)arg + skip, n - skip);
            answer(case_name(row, "pointer ", edges[i].name), "%s",
                   table_call(w, row, (unsigned long)edges[i].at));
        }
        ASSERT_EQ(mprotect(readonly, 0x1000, PROT_READ | PROT_WRITE), 0);
        memset(readonly, 0, 0x1000);
        memcpy(readonly, arg, size);
        ASSERT_EQ(mprotect(readonly, 0x1000, PROT_READ), 0);
        answer(case_name(row, "pointer ", "to what is read-only"), "%s",
               table_call(w, row, (unsigned long)readonly));
    }
}

void table_pointers(void)
{
    void *arg = calloc(1, ARG_MAX_SIZE);
    uint8_t *page = island(PROT_READ | PROT_WRITE), *readonly = island(PROT_READ);
    struct world w = { 0 };

    ASSERT(arg);
    world_new(&w, POPULATED);
    for (size_t i = 0; i < table_nr_rows; i++)
        if (!(table_rows[i].flags & ROW_NUMBER))
            pointers_of(&w, &table_rows[i], arg, page, readonly);
    world_free(&w);
    munmap(page, 0x1000);
    munmap(readonly, 0x1000);
    free(arg);
}

/* ---- Fields ---- */

static const uint64_t values[] = {
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    0x10,
    0x20,
    0x40,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x800,
    0xfff,
    0x1000,
    0x7fff,
    0x8000,
    0xffff,
    0x10000,
    0x7fffffff,
    0x80000000,
    0xfffff000,
    0xffffffff,
    0x100000000,
    1ull << 40,
    1ull << 47,
    1ull << 48,
    1ull << 51,
    1ull << 52,
    0x7fffffffffffffff,
    0x8000000000000000,
    0xfffffffffffff000,
    ~0ull,
};

/* Objects of its own for each value are dear: a third of the values is enough. */
static bool worth(const struct row *row, const struct field *field, unsigned i)
{
    const uint64_t value = values[i];
    uint64_t all = field->size == 8 ? ~0ull : BIT(field->size * 8) - 1;

    if (value & ~all || (row->flags & ROW_FRESH && i % 3 && i > 2 && value != all))
        return false;
    return !(row->flags & ROW_COUNT) || value < 2 || value > 0xff;
}

/* True when the call was accepted. */
static bool field_case(struct world *w, const struct row *row, const struct field *field,
                       uint64_t value, uint8_t *arg, uint8_t *back)
{
    char detail[64];
    uint64_t left = 0;
    int ret;

    build(w, row, arg);
    memcpy(arg + field->offset, &value, field->size);
    snprintf(detail, sizeof(detail), "=%llx", (unsigned long long)value);
    if (row->flags & ROW_NUMBER || row->flags & ROW_FD) {
        const char *said = table_call(w, row, row->flags & ROW_NUMBER ? value : (unsigned long)arg);

        answer(case_name(row, field->name, detail), "%s", said);
        return *said != 'E';
    }
    ret = kvm_call(w->fd[row->object], row->nr, arg);
    if (ret < 0 || !row->readback) {
        answer(case_name(row, field->name, detail), "%s", answer_text(ret));
        return ret >= 0;
    }
    memset(back, 0, ARG_MAX_SIZE);
    if (kvm_call(w->fd[row->object], row->readback, back) == 0)
        memcpy(&left, back + field->offset, field->size);
    answer(case_name(row, field->name, detail), "%s, then %llx", answer_text(ret),
           (unsigned long long)left);
    return true;
}

static void fields_of(const struct row *row, void *arg, void *back)
{
    enum state state = row->object == VCPU ? POPULATED : SPLIT;
    struct world w = { 0 };

    for (const struct field *f = row->fields; f->name; f++) {
        if (f == row->fields || row->flags & ROW_APART)
            world_for(&w, row, state);
        for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
            if (worth(row, f, i) && field_case(&w, row, f, values[i], arg, back) &&
                row->flags & ROW_FRESH)
                world_for(&w, row, state);
    }
    world_free(&w);
}

/* The rows of vCPUs, or one half of the others. */
static void fields_of_rows(bool vcpu, size_t half)
{
    void *arg = calloc(1, ARG_MAX_SIZE), *back = calloc(1, ARG_MAX_SIZE);

    ASSERT(arg && back);
    for (size_t i = 0; i < table_nr_rows; i++)
        if (table_rows[i].fields && (table_rows[i].object == VCPU) == vcpu &&
            (vcpu || i % 2 == half))
            fields_of(&table_rows[i], arg, back);
    free(arg);
    free(back);
}

void table_vm_fields(void)
{
    fields_of_rows(false, 0);
}

void table_vm_fields2(void)
{
    fields_of_rows(false, 1);
}

void table_vcpu_fields(void)
{
    fields_of_rows(true, 0);
}
