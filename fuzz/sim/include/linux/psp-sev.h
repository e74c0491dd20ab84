/* SPDX-License-Identifier: Apache-2.0 */
/* The real commands and buffers, with a driver behind them. */
#include <sim/kernel.h>
#define CONFIG_CRYPTO_DEV_SP_PSP 1
#include <include/linux/psp-sev.h>
