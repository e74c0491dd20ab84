// SPDX-License-Identifier: Apache-2.0
/*
 * The same quote and collateral as tests/bench/attest.c, judged by Phala's dcap-qvl for
 * JavaScript. Prints CPU microseconds per verification. Run from the repository root with
 * NODE_PATH at the folder that holds @phala/dcap-qvl.
 */
const fs = require('fs');
const { verify } = require('@phala/dcap-qvl');

const base = 'tests/vectors/tdx/tdx-v4-00806f050000-c39a3a25';
const at = 1761920231;
const rounds = 100;
const quote = fs.readFileSync(`${base}.quote.bin`);
const collateral = JSON.parse(fs.readFileSync(`${base}.collateral-2025-10-19.json`));

for (const name of ['root_ca_crl', 'pck_crl', 'tcb_info_signature', 'qe_identity_signature'])
    collateral[name] = Buffer.from(collateral[name], 'hex');
for (let i = 0; i < 20; i++)
    if (verify(quote, collateral, at).status !== 'UpToDate')
        throw new Error('dcap-qvl judges this quote in another way than expected');
const start = process.cpuUsage();
for (let i = 0; i < rounds; i++)
    verify(quote, collateral, at);
const used = process.cpuUsage(start);
console.log(((used.user + used.system) / rounds).toFixed(1));
