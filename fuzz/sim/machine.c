// SPDX-License-Identifier: Apache-2.0
/*
 * The machine with the module in it: from start to stop, and the process's end between two inputs.
 * Trusts the target, not its input.
 */
#include "internal.h"

void sim_start(const struct sim_options *options)
{
    int r;

    sim_bare(options);
    sim_hooks = (struct sim_hooks){ sim_snp_page_use, sim_snp_check, sim_svm_check_msr };
    sim_svm_start();
    sim_entry_begin("load");
    r = sim_module_init();
    sim_entry_end();
    if (r)
        sim_fault(SIM_STATE, "the module does not load: %d", r);
    sim_snp_start();
    sim_memory_mark();
    sim_reset();
}

static void end_process(void)
{
    sim_copy_reset();
    sim_task_reset();
    sim_file_reset();
    sim_entry_begin("exit");
    sim_user_reset();
    sim_run_fput();
    sim_run_work();
    sim_entry_end();
    sim_file_check();
    sim_time_check();
}

void sim_reset(void)
{
    end_process();
    sim_check_always(false);
    sim_snp_reset();
    sim_svm_reset();
    sim_cpu_reset();
    sim_time_reset();
    sim_task_slice();
    sim_lock_reset();
    sim_memory_reset();
}

void sim_stop(void)
{
    end_process();
    sim_snp_stop();
    sim_entry_begin("unload");
    sim_module_exit();
    sim_entry_end();
    sim_memory_stop();
}
