#include "CLinux.h"

// The hook of the Swift runtime for jobs that no executor is named for, and the call that runs one: declared in its
// sources (Runtime/Concurrency.h), not in a header that is installed.
typedef __attribute__((swiftcall)) void (*enqueue)(void *job);
extern __attribute__((swiftcall)) void (*swift_task_enqueueGlobal_hook)(void *job, enqueue original);
extern __attribute__((swiftcall)) void swift_job_run(void *job, void *executor, uintptr_t kind);

static void (*taker)(void *job);

static __attribute__((swiftcall)) void take(void *job, enqueue original) {
    (void)original;
    taker(job);
}

void stave_take_jobs(void (*to)(void *job)) {
    taker = to;
    swift_task_enqueueGlobal_hook = take;
}

// Both words nil: the executor of code that is isolated to nothing.
void stave_run_job(void *job) { swift_job_run(job, 0, 0); }
