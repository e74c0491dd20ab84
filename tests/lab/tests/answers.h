/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device answers, a line "name: answer" each, in the file that a test program's second
 * argument names. differ.sh runs such a program on both devices and compares the two files.
 */
#ifndef BAWN_TEST_ANSWERS_H
#define BAWN_TEST_ANSWERS_H

/* Opens the file that argv[2] names, and takes it out of the arguments. */
int answers_open(int argc, char **argv);

/* One line. Lines are whole, and not lost with the process that writes them. */
void answer(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What an ioctl returned: "0", a number, or the name of its errno. */
const char *answer_text(int ret);

#endif
