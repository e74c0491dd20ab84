/* SPDX-License-Identifier: Apache-2.0 */
#include "ghcb_shim.h"
