/*
 * watchdog: see watchdog.h.
 *
 * Each thread that runs something has a timer of the kernel, made when it is first needed, whose
 * signal comes to that thread. Setting it costs a system call, so it is not set for each run: it
 * goes off at the earliest time that a run asked for, sees what runs then, and sets itself anew for
 * that. A thread that is busy pays for this some ten times a second, one that is idle not at all.
 *
 *   handler:  nothing runs -> the timer rests
 *             not yet over -> set for then
 *             over         -> set for the end of the grace
 *             in grace     -> enough time of the thread since, or too much by the clock: warn
 *             warned       -> enough time of the thread since, nothing held, and the interrupted
 *                             instruction is the library's: jump. Otherwise soon again.
 *
 * Grace and cut are judged by the time that the thread has had and not by that of the wall: one
 * that was kept from running has done no wrong, and could not have seen the warning.
 *
 * Where the interrupted instruction is says more than any flag could that code sets and clears
 * around calls: neither an allocator nor code of ours is ever left half done. On processors for
 * which the place is not known here, and when the library is linked into the program, there are
 * warnings and no cuts. The thread sanitizer delivers signals late, from its own code, so the same
 * goes for it.
 *
 * Threads: each has its own; the signal handler runs on the thread that it interrupts.
 */
#include "base/watchdog.h"

#include <assert.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define RETRY_NS      2000000
#define NS_PER_SECOND UINT64_C(1000000000)

struct dog_timer {
	timer_t timer;
	bool made;
	bool failed;              /* the system gives no timer: nobody watches */
	volatile uint64_t set_ns; /* it goes off then; 0: it rests */
};

static __thread struct watchdog *volatile running;
static __thread struct dog_timer own;

/* Of the library; written once. */
static uintptr_t library_start, library_end;

static void make_timer(void);
static void set_timer(uint64_t at_ns);
static void on_signal(int number, siginfo_t *information, void *machine);
static bool is_in_library(const void *machine);

static int signal_number(void)
{
	return SIGRTMIN + 4;
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
}

enum watchdog_end watchdog_run(struct watchdog *watchdog, uint64_t over_at_ns, void (*warn)(void *),
	void (*run)(void *), void *argument)
{
	assert(running == NULL);
	watchdog->warn = warn;
	watchdog->context = argument;
	watchdog->over_at_ns = over_at_ns;
	watchdog->is_over = watchdog->is_warned = false;
	watchdog->held = 0;
	int end = sigsetjmp(watchdog->out, 0);
	if (end == WATCHDOG_DONE) {
		running = watchdog;
		if (over_at_ns != UINT64_MAX && (own.set_ns == 0 || own.set_ns > over_at_ns))
			set_timer(over_at_ns);
		run(argument);
	}
	running = NULL;
	return (enum watchdog_end)end;
}

void watchdog_leave(struct watchdog *watchdog)
{
	assert(running == watchdog);
	running = NULL;
	siglongjmp(watchdog->out, WATCHDOG_LEFT);
}

bool watchdog_runs(const struct watchdog *watchdog)
{
	return running == watchdog;
}

void watchdog_expire(struct watchdog *watchdog)
{
	assert(running == watchdog);
	watchdog->over_at_ns = 0;
	set_timer(1);
}

/* --- the timer -------------------------------------------------------------------------------- */

static void set_timer(uint64_t at_ns)
{
	if (!own.made)
		make_timer();
	if (own.failed)
		return;
	struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(at_ns / NS_PER_SECOND),
			.tv_nsec = (long)(at_ns % NS_PER_SECOND) },
	};
	own.set_ns = at_ns;
	timer_settime(own.timer, TIMER_ABSTIME, &when, NULL);
}

static pthread_key_t timer_key;

static void drop_timer(void *unused)
{
	(void)unused;
	timer_delete(own.timer);
}

static void set_up(void)
{
	struct sigaction action = {
		.sa_sigaction = on_signal,
		/* Not masked meanwhile: the handler may not return. */
		.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER,
	};
	sigaction(signal_number(), &action, NULL);
	pthread_key_create(&timer_key, drop_timer);
}

static void make_timer(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up);
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = signal_number(),
	};
	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	sigset_t own_signal;
	sigemptyset(&own_signal);
	sigaddset(&own_signal, signal_number());
	pthread_sigmask(SIG_UNBLOCK, &own_signal, NULL);
	own.made = true;
	own.failed = timer_create(CLOCK_MONOTONIC, &event, &own.timer) != 0;
	if (!own.failed)
		pthread_setspecific(timer_key, &own);
}

/* When it goes off next; 0: it rests. */
static uint64_t look(struct watchdog *watchdog, const void *machine)
{
	if (watchdog == NULL || watchdog->over_at_ns == UINT64_MAX)
		return 0;
	uint64_t now_ns = read_clock(CLOCK_MONOTONIC);
	if (now_ns < watchdog->over_at_ns)
		return watchdog->over_at_ns;
	uint64_t own_ns = read_clock(CLOCK_THREAD_CPUTIME_ID);
	if (!watchdog->is_over) {
		watchdog->is_over = true;
		watchdog->next_own_ns = own_ns + WATCHDOG_GRACE_NS;
		return now_ns + WATCHDOG_GRACE_NS;
	}
	bool is_due = own_ns >= watchdog->next_own_ns;
	if (!watchdog->is_warned) {
		if (!is_due && now_ns - watchdog->over_at_ns < WATCHDOG_GRACE_NS_MAX)
			return now_ns + RETRY_NS;
		watchdog->is_warned = true;
		watchdog->next_own_ns = own_ns + WATCHDOG_CUT_NS;
		watchdog->warn(watchdog->context);
		return now_ns + WATCHDOG_CUT_NS;
	}
	if (is_due && watchdog->held == 0 && is_in_library(machine)) {
		own.set_ns = 0;
		running = NULL;
		siglongjmp(watchdog->out, WATCHDOG_CUT);
	}
	return now_ns + RETRY_NS;
}

static void on_signal(int number, siginfo_t *information, void *machine)
{
	(void)number;
	(void)information;
	int saved = errno;
	uint64_t next_ns = look(running, machine);
	if (next_ns)
		set_timer(next_ns);
	else
		own.set_ns = 0;
	errno = saved;
}

/* --- the library ------------------------------------------------------------------------------ */

struct search {
	uintptr_t function;
	uintptr_t own;
};

static bool holds(uintptr_t start, uintptr_t end, uintptr_t address)
{
	return address >= start && address < end;
}

/* Keeps the executable part that holds the function, unless it holds this file too. */
static int visit_object(struct dl_phdr_info *object, size_t size, void *context)
{
	const struct search *search = context;
	(void)size;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];
		uintptr_t start = object->dlpi_addr + part->p_vaddr, end = start + part->p_memsz;
		if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) ||
			!holds(start, end, search->function) || holds(start, end, search->own))
			continue;
		library_end = end;
		library_start = start;
		return 1;
	}
	return 0;
}

void watchdog_may_cut(const void *function)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct search search = { (uintptr_t)function, (uintptr_t)&watchdog_run };
	pthread_mutex_lock(&lock);
	if (library_end == 0)
		dl_iterate_phdr(visit_object, &search);
	pthread_mutex_unlock(&lock);
}

static bool is_in_library(const void *machine)
{
	const ucontext_t *interrupted = machine;
#if defined(__SANITIZE_THREAD__)
	(void)interrupted;
	return false;
#elif defined(__x86_64__)
	return holds(
		library_start, library_end, (uintptr_t)interrupted->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
	return holds(library_start, library_end, (uintptr_t)interrupted->uc_mcontext.pc);
#else
	(void)interrupted;
	return false;
#endif
}
