// SPDX-License-Identifier: Apache-2.0
/*
 * The facts as a table: what was launched, with what freedom, on what platform, said by whom.
 */
#include "attest/verify/facts.h"

const struct verify_fact verify_facts[] = {
    /* AMD SEV-SNP */
    { "product", "snp.product_name", 0 },
    { "signed by", "snp.signing_key", 0 },
    { "measurement", "snp.measurement", 0 },
    { "report data", "snp.report_data", 0 },
    { "host data", "snp.host_data", 0 },
    { "policy", "snp.policy", FACT_HEX | FACT_PARTS },
    { "VMPL", "snp.vmpl", 0 },
    { "guest SVN", "snp.guest_svn", 0 },
    { "platform", "snp.platform_info", FACT_HEX | FACT_PARTS },
    { "reported TCB", "snp.reported_tcb", FACT_PARTS },
    { "committed TCB", "snp.committed_tcb", FACT_PARTS },
    { "family ID", "snp.family_id", FACT_SET },
    { "image ID", "snp.image_id", FACT_SET },
    { "ID key", "snp.id_key_digest", 0 },
    { "author key", "snp.author_key_digest", 0 },
    { "chip", "snp.chip_id", 0 },
    { "provider", "snp.csp_id", 0 },
    /* Intel TDX */
    { "TCB status", "tdx.tcb_status", 0 },
    { "advisories", "tdx.advisory_ids", FACT_LIST },
    { "TCB of", "tdx.tcb_date", 0 },
    { "MRTD", "tdx.mrtd", 0 },
    { "RTMR", "tdx.rtmr", 0 },
    { "report data", "tdx.report_data", 0 },
    { "MRCONFIGID", "tdx.mr_config_id", 0 },
    { "MROWNER", "tdx.mr_owner", 0 },
    { "TD attributes", "tdx.td_attributes", FACT_PARTS },
    { "XFAM", "tdx.xfam", FACT_PARTS },
    { "TDX module", "tdx.mr_seam", 0 },
    /* Intel SGX */
    { "TCB status", "sgx.tcb_status", 0 },
    { "advisories", "sgx.advisory_ids", FACT_LIST },
    { "TCB of", "sgx.tcb_date", 0 },
    { "MRENCLAVE", "sgx.mrenclave", 0 },
    { "MRSIGNER", "sgx.mrsigner", 0 },
    { "product ID", "sgx.isvprodid", 0 },
    { "SVN", "sgx.isvsvn", 0 },
    { "attributes", "sgx.attributes", FACT_PARTS },
    { "report data", "sgx.report_data", 0 },
    { "platform FMSPC", "pck.fmspc", 0 },
    /* TPM and what wraps it */
    { "VM", "hcl.vm_configuration.vm_unique_id", 0 },
    { "VM secure boot", "hcl.vm_configuration.secure_boot", 0 },
    { "user data", "hcl.user_data", 0 },
    { "nonce", "tpm.nonce", 0 },
    { "attestation key", "tpm.ak", 0 },
    { "key bound by", "tpm.ak_binding", 0 },
    { "PCR bank", "tpm.pcr_bank", 0 },
    { "PCR", "tpm.pcr", 0 },
    /* Event logs */
    { "firmware", "eventlog.firmware_version", 0 },
    { "secure boot", "eventlog.secure_boot", 0 },
    { "kernel command", "eventlog.kernel_cmdline", 0 },
    { "firmware", "ccel.firmware_version", 0 },
    { "secure boot", "ccel.secure_boot", 0 },
    { "kernel command", "ccel.kernel_cmdline", 0 },
};

const size_t verify_nr_facts = sizeof(verify_facts) / sizeof(verify_facts[0]);
