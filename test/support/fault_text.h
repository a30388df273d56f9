/*
 * fault_text: what a fault says. The process that meets one ends, so a child of the test's runs it;
 * it has the test's memory and files as they are at that moment, and nothing of what it does is
 * seen but its log.
 */
#ifndef TEST_SUPPORT_FAULT_TEXT_H
#define TEST_SUPPORT_FAULT_TEXT_H

#include "base/logline.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FAULT_TEXT_BYTES 4096

/* Fails when `meet` returns, ends the process in another way, or says none of these words. */
static inline void assert_fault(void (*meet)(void *context), void *context, const char *words)
{
	char text[FAULT_TEXT_BYTES];
	size_t size = 0;
	ssize_t more;
	int ends[2], status;
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		/* A core of each would only fill the disk. */
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		signal(SIGABRT, SIG_DFL);
		logline_set_level(LOGLINE_WARNING);
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		meet(context);
		_exit(0);
	}
	close(ends[1]);
	while ((more = read(ends[0], text + size, sizeof(text) - 1 - size)) > 0)
		size += (size_t)more;
	close(ends[0]);
	text[size] = '\0';
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		fail_msg("no fault, but status %d and '%s'", status, text);
	if (strstr(text, "FATAL: ") == NULL || strstr(text, words) == NULL)
		fail_msg("'%s' is not said in '%s'", words, text);
}

#endif
