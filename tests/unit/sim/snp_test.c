// SPDX-License-Identifier: Apache-2.0
/*
 * SNP guests on the simulated machine, with kernel/snp/hw.c and kernel/svm/es.c as on an EPYC: a
 * launch whose digest is the predicted one, the GHCB's protocols, page states, a second vCPU, and
 * a report that libbawn-attest verifies. And the oracles of the platform: each fires.
 */
// libs: -lcrypto
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include <bawn/attest.h>
#include <bawn/measure_launch.h>

#include "fuzz/sim/sim.h"
#include "fuzz/sim/snp.h"
#include "fuzz/sim/svm.h"
#include "fuzz/sim/vm.h"
#include "platform/firmware/psp.h"

#define PAGE 0x1000u
#define GHCB SIM_VM_SHARED
#define REQUEST (SIM_VM_SHARED + 0x2000)
#define RESPONSE (SIM_VM_SHARED + 0x3000)
#define OWN 0x10000ull /* a private page that the launch did not fill */
#define NOW 1748736000 /* when the firmware's identity was made */

/* Of the GHCB: AMD 56421, table 3. */
enum {
    AT_RAX = 0x1f8,
    AT_RCX = 0x308,
    AT_RDX = 0x310,
    AT_RBX = 0x318,
    AT_CODE = 0x390,
    AT_INFO1 = 0x398,
    AT_INFO2 = 0x3a0,
    AT_SCRATCH = 0x3a8,
    AT_BITMAP = 0x3f0,
    AT_BUFFER = 0x800,
    AT_VERSION = 0xffa
};

static struct sim_vm vm;

/* ---- A guest that is a list of steps ---- */

/* Answers whether it left an exit, after which the same step comes again until it is done. */
typedef bool (*step_fn)(struct sim_entry *entry, unsigned visit);

static struct {
    step_fn step[4];
    unsigned at, visit;
} guest;

static void play(void *context, struct sim_entry *entry)
{
    (void)context;
    while (guest.at < 4 && guest.step[guest.at]) {
        if (guest.step[guest.at](entry, guest.visit++))
            return;
        guest.at++;
        guest.visit = 0;
    }
    sim_signal(0);
}

static void run_steps(unsigned vcpu, step_fn first, step_fn second)
{
    memset(&guest, 0, sizeof(guest));
    guest.step[0] = first;
    guest.step[1] = second;
    sim_set_guest(play, NULL);
    assert_int_equal(sim_vm_run(&vm, vcpu), -EINTR);
    assert_null(guest.step[guest.at]);
}

static uint8_t *ghcb(void)
{
    return sim_vm_at(&vm, GHCB);
}

static void put(unsigned at, uint64_t value)
{
    memcpy(ghcb() + at, &value, 8);
    ghcb()[AT_BITMAP + at / 64] |= 1u << (at / 8 % 8);
}

static uint64_t get(unsigned at)
{
    uint64_t value;

    memcpy(&value, ghcb() + at, 8);
    return value;
}

static void ask(uint64_t code, uint64_t info1, uint64_t info2)
{
    memset(ghcb() + AT_BITMAP, 0, 16);
    memcpy(ghcb() + AT_VERSION, &(uint16_t){ 2 }, 2);
    put(AT_CODE, code);
    put(AT_INFO1, info1);
    put(AT_INFO2, info2);
}

static bool leave_by_page(struct sim_entry *entry)
{
    sim_snp_vmgexit(entry, GHCB);
    return true;
}

/* ---- Life ---- */

static const uint8_t code[PAGE] = { 0xf4 };

static bool register_page(struct sim_entry *entry, unsigned visit)
{
    if (visit) {
        assert_int_equal(sim_snp_msr(entry), GHCB | 0x013);
        return false;
    }
    sim_snp_vmgexit(entry, GHCB | 0x012);
    return true;
}

static int setup(void **state)
{
    (void)state;
    assert_true(sim_vm_create(&vm, KVM_X86_SNP_VM));
    assert_true(sim_vm_irqchip(&vm));
    assert_true(sim_vm_launch(&vm));
    run_steps(0, register_page, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sim_check();
    sim_reset();
    return 0;
}

/* ---- Services ---- */

/* CPUID 8000_0000, EBX, by the MSR: the vendor's first letters. */
static bool cpuid_by_msr_step(struct sim_entry *entry, unsigned visit)
{
    if (!visit) {
        sim_snp_vmgexit(entry, 0x8000000000000004ull | 1ull << 30 | 0);
        return true;
    }
    return false;
}

static uint64_t msr_after;

static bool keep_msr(struct sim_entry *entry, unsigned visit)
{
    (void)visit;
    msr_after = sim_snp_msr(entry);
    return false;
}

static void cpuid_by_msr(void **state)
{
    (void)state;
    run_steps(0, cpuid_by_msr_step, keep_msr);
    assert_int_equal(msr_after & 0xfff, 0x005);
    assert_int_not_equal(msr_after >> 32, 0);
}

static bool cpuid_by_page_step(struct sim_entry *entry, unsigned visit)
{
    if (visit)
        return false;
    ask(0x72, 0, 0);
    put(AT_RAX, 0x80000000);
    put(AT_RCX, 0);
    return leave_by_page(entry);
}

static void cpuid_by_page(void **state)
{
    (void)state;
    run_steps(0, cpuid_by_page_step, NULL);
    assert_int_equal(get(AT_INFO1) & 0xffffffff, 0);
    assert_true(get(AT_RAX) >= 0x80000008);
    assert_int_equal(get(AT_RBX), 0x68747541); /* "Auth" */
}

/* ---- Page states ---- */

static unsigned maps;

/* As a VMM does: what the guest asks for, then on. */
static long run_with_maps(unsigned vcpu)
{
    long r;

    for (;;) {
        r = sim_vm_run(&vm, vcpu);
        if (r || vm.run[vcpu]->exit_reason != KVM_EXIT_HYPERCALL)
            return r;
        assert_int_equal(vm.run[vcpu]->hypercall.nr, 12);
        maps++;
        assert_int_equal(sim_vm_attribute(&vm, vm.run[vcpu]->hypercall.args[0],
                                          vm.run[vcpu]->hypercall.args[1] * PAGE,
                                          vm.run[vcpu]->hypercall.args[2] & 0x10),
                         0);
        vm.run[vcpu]->hypercall.ret = 0;
    }
}

static void run_changes(step_fn first, step_fn second)
{
    memset(&guest, 0, sizeof(guest));
    guest.step[0] = first;
    guest.step[1] = second;
    sim_set_guest(play, NULL);
    assert_int_equal(run_with_maps(0), -EINTR);
    assert_null(guest.step[guest.at]);
}

static bool change_state(struct sim_entry *entry, uint64_t gpa, unsigned operation)
{
    const uint64_t list[] = { 0, gpa | (uint64_t)operation << 52 };

    ask(0x80000010, 0, 0);
    memcpy(ghcb() + AT_BUFFER, list, sizeof(list));
    put(AT_SCRATCH, GHCB + AT_BUFFER);
    return leave_by_page(entry);
}

/* Validated and written as private; an exit in between is a nested fault, and comes again. */
static bool use_private(struct sim_entry *entry, unsigned visit)
{
    static const uint8_t mark = 0x5a;
    uint8_t seen = 0;

    assert_true(visit < 8);
    if (sim_snp_validate(entry, OWN, true) || !sim_snp_write(entry, OWN, true, &mark, 1))
        return true;
    assert_true(sim_snp_read(entry, OWN, true, &seen, 1));
    assert_int_equal(seen, mark);
    return false;
}

static bool make_shared(struct sim_entry *entry, unsigned visit)
{
    if (visit) {
        assert_int_equal(get(AT_INFO2), 0);
        return false;
    }
    sim_snp_validate(entry, OWN, false);
    return change_state(entry, OWN, 2);
}

static bool make_private(struct sim_entry *entry, unsigned visit)
{
    if (visit) {
        assert_int_equal(get(AT_INFO2), 0);
        return false;
    }
    return change_state(entry, OWN, 1);
}

static bool use_shared(struct sim_entry *entry, unsigned visit)
{
    static const uint8_t mark = 0xa5;

    assert_true(visit < 8);
    return !sim_snp_write(entry, OWN, false, &mark, 1);
}

static void private_shared_private(void **state)
{
    (void)state;
    maps = 0;
    run_changes(use_private, make_shared);
    assert_int_equal(maps, 1);
    assert_int_equal(*(uint8_t *)sim_vm_at(&vm, OWN), 0); /* the process never saw it */
    run_changes(use_shared, NULL);
    assert_int_equal(*(uint8_t *)sim_vm_at(&vm, OWN), 0xa5);
    run_changes(make_private, use_private);
    assert_int_equal(maps, 2);
    sim_check();
}

/* ---- A second vCPU ---- */

static bool make_vmsa(struct sim_entry *entry, unsigned visit)
{
    static uint8_t vmsa[PAGE];

    assert_true(visit < 8);
    if (sim_snp_validate(entry, OWN, true))
        return true;
    sim_snp_vmsa(entry, vmsa);
    vmsa[0x178] = 0x77; /* RIP */
    return !sim_snp_write(entry, OWN, true, vmsa, PAGE) || sim_snp_adjust(entry, OWN, true);
}

static bool create_ap(struct sim_entry *entry, unsigned visit)
{
    if (visit) {
        assert_int_equal(get(AT_INFO1), 0);
        return false;
    }
    ask(0x80000013, 1ull << 32 | 1, OWN);
    put(AT_RAX, 1); /* SEV_FEATURES */
    return leave_by_page(entry);
}

static uint8_t second_vmsa[PAGE];

static bool look_at_vmsa(struct sim_entry *entry, unsigned visit)
{
    (void)visit;
    sim_snp_vmsa(entry, second_vmsa);
    return false;
}

static void ap_creation(void **state)
{
    (void)state;
    assert_int_equal(sim_vm_run(&vm, 1), -EINTR); /* it waits */
    run_steps(0, make_vmsa, create_ap);
    run_steps(1, look_at_vmsa, NULL);
    assert_int_equal(second_vmsa[0x178], 0x77);
}

/* ---- A report ---- */

static bool gcm(bool seal, const uint8_t *key, const struct bawn_psp_msg_header *h,
                const uint8_t *in, uint8_t *out, uint8_t tag[16])
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    uint8_t iv[12] = { 0 };
    bool ok;
    int n;

    memcpy(iv, &h->seqno, sizeof(h->seqno));
    ok = c && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv, seal) > 0 &&
         EVP_CipherUpdate(c, NULL, &n, (const uint8_t *)h + BAWN_PSP_MSG_AAD,
                          (int)(sizeof(*h) - BAWN_PSP_MSG_AAD)) > 0 &&
         EVP_CipherUpdate(c, out, &n, in, h->size) > 0 &&
         (seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, 16, tag) > 0) &&
         EVP_CipherFinal_ex(c, out + n, &n) > 0 &&
         (!seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, tag) > 0);
    EVP_CIPHER_CTX_free(c);
    return ok;
}

static uint8_t vmpck[BAWN_PSP_VMPCK_SIZE];

/* The secrets page is private: the guest alone reads the key. */
static bool seal_request(struct sim_entry *entry, unsigned visit)
{
    struct bawn_psp_report_req request = { .report_data = "simulated" };
    struct bawn_psp_msg_header h = { .seqno = 1,
                                     .algo = 1,
                                     .header_version = 1,
                                     .header_size = sizeof(h),
                                     .type = BAWN_PSP_MSG_REPORT_REQ,
                                     .version = 1,
                                     .size = sizeof(request) };
    uint8_t *page = sim_vm_at(&vm, REQUEST);
    static struct bawn_psp_secrets secrets;

    assert_true(visit < 8);
    if (!sim_snp_read(entry, SIM_VM_SECRETS, true, &secrets, sizeof(secrets)))
        return true;
    memcpy(vmpck, secrets.vmpck[0], sizeof(vmpck));
    assert_true(gcm(true, vmpck, &h, (uint8_t *)&request, page + sizeof(h), h.authtag));
    memcpy(page, &h, sizeof(h));
    return false;
}

static bool send_request(struct sim_entry *entry, unsigned visit)
{
    if (visit)
        return false;
    ask(0x80000011, REQUEST, RESPONSE);
    return leave_by_page(entry);
}

static void fetch_report(struct bawn_snp_report *report)
{
    static uint8_t out[PAGE];
    const uint8_t *page = sim_vm_at(&vm, RESPONSE);
    struct bawn_psp_msg_header h;
    struct bawn_psp_report_rsp rsp;

    run_steps(0, seal_request, send_request);
    assert_int_equal(get(AT_INFO2), 0);
    memcpy(&h, page, sizeof(h));
    assert_int_equal(h.type, BAWN_PSP_MSG_REPORT_RSP);
    assert_true(h.size <= sizeof(out) - sizeof(h));
    assert_true(gcm(false, vmpck, &h, page + sizeof(h), out, h.authtag));
    memcpy(&rsp, out, sizeof(rsp));
    assert_int_equal(rsp.status, 0);
    assert_int_equal(rsp.report_size, sizeof(*report));
    memcpy(report, out + sizeof(rsp), sizeof(*report));
}

static void vmsa_of(unsigned vcpu, uint8_t to[PAGE])
{
    memset(second_vmsa, 0, sizeof(second_vmsa));
    run_steps(vcpu, look_at_vmsa, NULL);
    memcpy(to, second_vmsa, PAGE);
}

/* The digest that the report has is that of the pages as they were given, in their order. */
static void digest_is_the_predicted_one(void **state)
{
    static uint8_t vmsa[PAGE];
    struct bawn_snp_load loads[] = {
        { .type = BAWN_SNP_NORMAL, .gpa = SIM_VM_CODE, .size = PAGE, .data = { code, PAGE } },
        { .type = BAWN_SNP_SECRETS, .gpa = SIM_VM_SECRETS, .size = PAGE },
        { .type = BAWN_SNP_VMSA, .size = PAGE, .data = { vmsa, PAGE } },
        { .type = BAWN_SNP_VMSA, .size = PAGE, .data = { vmsa, PAGE } },
    };
    struct bawn_snp_report report;
    struct bawn_error err = { "" };
    uint8_t digest[48];

    (void)state;
    vmsa_of(0, vmsa);
    fetch_report(&report);
    assert_int_equal(bawn_snp_digest(NULL, loads, 4, digest, &err), BAWN_OK);
    assert_memory_equal(digest, report.measurement, sizeof(digest));
    assert_memory_equal(report.report_data, "simulated", 10);
}

static bool send_the_page_itself(struct sim_entry *entry, unsigned visit)
{
    if (visit)
        return false;
    sim_watch(vm.memory + GHCB, PAGE); /* a second reading ends the process */
    ask(0x80000011, GHCB, RESPONSE);
    return leave_by_page(entry);
}

static void the_page_is_no_request(void **state)
{
    (void)state;
    run_steps(0, send_the_page_itself, NULL);
    assert_int_equal(get(AT_INFO1), 2);
    assert_int_equal(get(AT_INFO2), 5); /* invalid input */
}

static long events(unsigned long call, struct kvm_vcpu_events *e)
{
    return sim_vm_call(&vm, vm.vcpu[0], call, e, sizeof(*e));
}

/* The masks are the guest's: the VMM may set them, and takes none away. */
static void masks_stay(void **state)
{
    struct kvm_vcpu_events e = { 0 };

    (void)state;
    assert_int_equal(events(KVM_GET_VCPU_EVENTS, &e), 0);
    assert_int_equal(events(KVM_SET_VCPU_EVENTS, &e), 0);
    e.nmi.masked = 1;
    e.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
    assert_int_equal(events(KVM_SET_VCPU_EVENTS, &e), 0);
    e.nmi.masked = 0;
    e.nmi.pending = 1;
    assert_int_equal(events(KVM_SET_VCPU_EVENTS, &e), -EINVAL);
    e.nmi.masked = 1;
    e.interrupt.shadow = 0;
    assert_int_equal(events(KVM_SET_VCPU_EVENTS, &e), -EINVAL);
}

static struct bawn_bytes as_bytes(const struct psp_blob *blob)
{
    return (struct bawn_bytes){ blob->data, blob->len };
}

static void report_is_verified(void **state)
{
    struct psp_blob files[PSP_ENDORSEMENTS] = { { NULL, 0 } };
    struct bawn_attest_result *result = bawn_attest_result_create();
    struct bawn_bytes endorsements[3], ark;
    struct bawn_attest_input input = { .kind = BAWN_EVIDENCE_SNP,
                                       .endorsements = endorsements,
                                       .nr_endorsements = 3,
                                       .at = NOW + 100 };
    const struct psp_blob *root;
    struct bawn_snp_report report;
    struct bawn_error err = { "" };
    struct bawn_trust *trust;

    (void)state;
    assert_non_null(result);
    fetch_report(&report);
    assert_true(sim_endorsements(NOW, files, &root));
    ark = as_bytes(root);
    endorsements[0] = as_bytes(&files[PSP_VCEK]);
    endorsements[1] = as_bytes(&files[PSP_CERT_CHAIN]);
    endorsements[2] = as_bytes(&files[PSP_CRL]);
    input.evidence = (struct bawn_bytes){ (const uint8_t *)&report, sizeof(report) };
    assert_int_equal(bawn_trust_create(&trust, &ark, 1, &err), BAWN_OK);
    assert_int_equal(bawn_attest_verify(trust, NULL, &input, result), BAWN_TRUSTED);
    report.measurement[0] ^= 1;
    assert_int_equal(bawn_attest_verify(trust, NULL, &input, result), BAWN_NOT_TRUSTED);
    bawn_trust_destroy(trust);
    bawn_attest_result_destroy(result);
    for (unsigned i = 0; i < PSP_ENDORSEMENTS; i++)
        psp_blob_free(&files[i]);
}

/* ---- Oracles: each ends the process ---- */

static void dies(void (*fn)(void))
{
    pid_t pid = fork();
    int status;

    if (!pid) {
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && !WEXITSTATUS(status));
}

static struct sim_entry *entry_now;
static void (*deed)(void);

static bool do_deed(struct sim_entry *entry, unsigned visit)
{
    (void)visit;
    entry_now = entry;
    dies(deed);
    return false;
}

/* The host writes to the guest's page. */
static void host_writes(void)
{
    volatile uint8_t *page = sim_guest(entry_now->vcpu, SIM_VM_CODE, false, true);

    if (page)
        *page = 1;
    else
        _exit(0);
}

static bool read_code(struct sim_entry *entry, unsigned visit)
{
    uint8_t byte;

    assert_true(visit < 4);
    return !sim_snp_read(entry, SIM_VM_CODE, true, &byte, 1);
}

static void host_write_to_guest_page_is_found(void **state)
{
    (void)state;
    deed = host_writes;
    run_steps(0, read_code, do_deed);
}

/* ---- Hostile firmware ---- */

static unsigned refused;

static void refuse_update(void *context, struct sim_firmware_answer *answer)
{
    (void)context;
    if (answer->command == BAWN_PSP_SNP_LAUNCH_UPDATE) {
        answer->status = BAWN_PSP_INVALID_PARAM;
        refused++;
    }
}

static void refused_page_goes_back(void **state)
{
    struct kvm_sev_init init = { 0 };
    struct sim_vm other;

    (void)state;
    refused = 0;
    sim_set_firmware(refuse_update, NULL);
    assert_true(sim_vm_create(&other, KVM_X86_SNP_VM));
    assert_int_equal(sim_vm_sev(&other, KVM_SEV_INIT2, &init, sizeof(init), NULL), 0);
    assert_int_equal(sim_vm_launch_start(&other), 0);
    assert_int_equal(sim_vm_launch_page(&other, SIM_VM_CODE, KVM_SEV_SNP_PAGE_TYPE_NORMAL, code),
                     -EIO);
    assert_int_equal(refused, 1);
    sim_set_firmware(NULL, NULL);
    assert_int_equal(sim_vm_launch_page(&other, SIM_VM_CODE, KVM_SEV_SNP_PAGE_TYPE_NORMAL, code),
                     0);
}

static int start(void **state)
{
    static const struct sim_options options = { .backend = SIM_SVM, .snp = true };

    (void)state;
    sim_start(&options);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cpuid_by_msr),
        TEST(cpuid_by_page),
        TEST(private_shared_private),
        TEST(ap_creation),
        TEST(digest_is_the_predicted_one),
        TEST(the_page_is_no_request),
        TEST(masks_stay),
        TEST(report_is_verified),
        TEST(host_write_to_guest_page_is_found),
        TEST(refused_page_goes_back),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
