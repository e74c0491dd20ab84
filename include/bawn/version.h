/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The version of all of Bawn: of the modules, the libraries, and what each command says. The
 * packages' is debian/changelog's, the same (tests/build/commands.py).
 */
#ifndef BAWN_VERSION_H
#define BAWN_VERSION_H

#define BAWN_VERSION "0.2.0"

#endif
