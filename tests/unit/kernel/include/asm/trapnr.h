/* SPDX-License-Identifier: Apache-2.0 */
/* Exception vectors: AMD APM volume 2, table 8-1. */
#define DE_VECTOR 0
#define DB_VECTOR 1
#define UD_VECTOR 6
#define DF_VECTOR 8
#define TS_VECTOR 10
#define NP_VECTOR 11
#define SS_VECTOR 12
#define GP_VECTOR 13
#define PF_VECTOR 14
