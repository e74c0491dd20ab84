// SPDX-License-Identifier: Apache-2.0
/*
 * Attacks on judge and vault by guests and by tenants' administrators: one tenant's data does not
 * close the service to others, and what is not known to be allowed is denied.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/vault/world.h"

#define OF_SNP "{\"bawn_policy\":1,\"version\":\"1\",\"evidence\":[\"snp\"],\"test_roots\":true,"

/* What a policy includes is changed under it: the policy's pin does not hold any longer. */
static void changed_include(void **state)
{
    static const char *const texts[] = {
        OF_SNP "\"id\":\"base\",\"rules\":[{\"id\":\"b\",\"claim\":\"snp.vmpl\",\"equals\":0,"
               "\"reason\":\"b\"}]}",
        OF_SNP "\"id\":\"base\",\"rules\":[{\"id\":\"b\",\"claim\":\"snp.vmpl\",\"present\":true,"
               "\"reason\":\"b\"}]}",
    };
    struct guest g = guest_create(), other = guest_create();
    struct world w;
    char body[1024];

    (void)state;
    world_create(&w);
    assert_int_equal(admin(&w, "blue", OWNER, "POST", "resource/disk/key/1", SECRET_TEXT), 200);
    assert_int_equal(admin(&w, "red", RED, "POST", "resource/disk/key/1", SECRET_TEXT), 200);
    assert_int_equal(guest_attest(&w, &g, "blue"), 200);
    assert_int_equal(guest_attest(&w, &other, "red"), 200);
    assert_int_equal(
        admin(&w, "blue", AUTHOR, "POST", "attestation-policy/base?include=1", texts[0]), 200);
    snprintf(body, sizeof(body),
             OF_SNP "\"id\":\"r\",\"include\":[{\"name\":\"base\",\"sha256\":\"%s\"}],"
                    "\"rules\":[]}",
             text_of(w.body, "sha256"));
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "resource-policy", body), 200);
    assert_int_equal(guest_resource(&w, &g, "blue", true), 200);
    assert_int_equal(
        admin(&w, "blue", AUTHOR, "POST", "attestation-policy/base?include=1", texts[1]), 200);
    assert_int_equal(guest_resource(&w, &g, "blue", true), 403);
    assert_true(says(&w, "cannot be used"));
    assert_int_equal(guest_resource(&w, &other, "red", true), 200);
    world_restart(&w);
    assert_int_equal(guest_resource(&w, &g, "blue", true), 403);
    assert_int_equal(guest_resource(&w, &other, "red", true), 200);
    guest_destroy(&g);
    guest_destroy(&other);
    world_destroy(&w);
}

/* Two policies, and nothing says which of them is meant. */
static void which_policy(void **state)
{
    static const char *const texts[] = {
        OF_SNP "\"id\":\"no\",\"rules\":[{\"id\":\"n\",\"claim\":\"snp.vmpl\",\"equals\":3,"
               "\"reason\":\"no\"}]}",
        OF_SNP "\"id\":\"neither\",\"rules\":[{\"id\":\"n\",\"claim\":\"snp.vmpl\",\"equals\":2,"
               "\"reason\":\"no\"}]}",
    };
    struct guest g = guest_create();
    struct world w;

    (void)state;
    world_create(&w);
    assert_int_equal(admin(&w, "blue", OWNER, "POST", "resource/disk/key/1", SECRET_TEXT), 200);
    assert_int_equal(guest_attest(&w, &g, "blue"), 200);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "resource-policy/one", texts[0]), 200);
    assert_int_equal(guest_resource(&w, &g, "blue", true), 403);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "resource-policy/two", texts[1]), 200);
    assert_int_equal(guest_resource(&w, &g, "blue", true), 403);
    /* The configuration's policy does not come back either. */
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy/one", texts[0]), 200);
    assert_int_equal(guest_attest(&w, &g, "blue"), 401);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "attestation-policy/two", texts[1]), 200);
    assert_int_equal(guest_attest(&w, &g, "blue"), 401);
    assert_int_equal(guest_attest(&w, &g, "red"), 200);
    guest_destroy(&g);
    world_destroy(&w);
}

static void empty_reference(void **state)
{
    struct world w;

    (void)state;
    world_create(&w);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "reference-value", "{\"good\":\"\"}"), 400);
    assert_int_equal(admin(&w, "blue", AUTHOR, "POST", "reference-value", "{\"\":\"00\"}"), 400);
    world_restart(&w);
    world_destroy(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_include),
        cmocka_unit_test(which_policy),
        cmocka_unit_test(empty_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
