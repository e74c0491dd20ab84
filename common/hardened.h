/* SPDX-License-Identifier: Apache-2.0
 * Included by the command line before the first line of every shipped source (mk/harden.mk): leaves
 * in the object what its debug information does not say, for tests/build/binaries.py. One byte
 * each, the level of FORTIFY that the C library's headers took, in a section that is never loaded.
 */
#ifndef BAWN_COMMON_HARDENED_H
#define BAWN_COMMON_HARDENED_H

#include <features.h>

#define BAWN_HARDENED_TEXT2(level) #level
#define BAWN_HARDENED_TEXT(level) BAWN_HARDENED_TEXT2(level)
__asm__(".pushsection .bawn.fortify,\"\",@progbits\n"
        ".ascii \"" BAWN_HARDENED_TEXT(__USE_FORTIFY_LEVEL) "\"; .popsection\n");

#endif
