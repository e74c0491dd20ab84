/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel has no more to say. */
