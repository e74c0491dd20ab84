/* SPDX-License-Identifier: Apache-2.0 */
/* Programs on the simulated machine, with the SVM backend. */
#ifndef BAWN_REPLAY_MACHINE_H
#define BAWN_REPLAY_MACHINE_H

#include "program.h"

void replay_start(void); /* once */
/* Program n's text; false: the machine cannot be set up. */
bool replay_program(unsigned int n, FILE *out);

#endif
