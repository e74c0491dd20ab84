// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells the SNP instructions apart, which plain SVM knows as VMMCALL with a prefix or not at all.
 * Pure; the bytes are the guest's choice. Encodings: AMD APM vol. 3.
 */
#include "platform.h"

/* All are 0F 01 and this byte. */
#define OP_VMMCALL 0xd9	  /* without F2, F3; with either: VMGEXIT */
#define OP_RMPADJUST 0xfe /* F3 */
#define OP_PVALIDATE 0xff /* F2 */

#define PREFIX_REPNE 0xf2
#define PREFIX_REP 0xf3

/* Legacy prefixes but LOCK, with which none of these exists. */
static bool is_prefix(u8 byte)
{
	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
	case 0x66: case 0x67: case PREFIX_REPNE: case PREFIX_REP:
		return true;
	default:
		return false;
	}
}

enum platform_insn platform_insn(const u8 *bytes, int nr, bool long_mode, u8 *len)
{
	u8 rep = 0;
	int i;

	*len = 0;
	for (i = 0; i < nr && is_prefix(bytes[i]); i++)
		if (bytes[i] == PREFIX_REPNE || bytes[i] == PREFIX_REP)
			rep = bytes[i]; /* the last one counts */
	if (long_mode && i < nr && (bytes[i] & 0xf0) == 0x40) /* REX */
		i++;
	if (i + 3 > nr || i + 3 > 15 || bytes[i] != 0x0f || bytes[i + 1] != 0x01)
		return INSN_OTHER;
	*len = i + 3;
	switch (bytes[i + 2]) {
	case OP_VMMCALL:
		return rep ? INSN_VMGEXIT : INSN_VMMCALL;
	case OP_PVALIDATE:
		return rep == PREFIX_REPNE ? INSN_PVALIDATE : INSN_OTHER;
	case OP_RMPADJUST:
		return rep == PREFIX_REP ? INSN_RMPADJUST : INSN_OTHER;
	default:
		return INSN_OTHER;
	}
}
