/* SPDX-License-Identifier: Apache-2.0 */
/* The module asks boot_cpu_data alone. */
