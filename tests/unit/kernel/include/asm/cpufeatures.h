/* SPDX-License-Identifier: Apache-2.0 */
#define X86_FEATURE_GBPAGES (1 * 32 + 26)
