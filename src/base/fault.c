/*
 * fault: see fault.h. abort, not exit: nothing of this process may touch the files any more, and a
 * core is worth having.
 */
#include "base/fault.h"

#include "base/logline.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void (*fault_hook)(void);

void fault_set_hook(void (*hook)(void))
{
	fault_hook = hook;
}

__attribute__((noreturn)) static void end(const char *format, va_list list, const char *then)
{
	char text[512];
	vsnprintf(text, sizeof(text), format, list);
	logline(LOGLINE_WARNING, "FATAL: %s. %s", text, then);
	abort();
}

void fault(const char *format, ...)
{
	if (fault_hook)
		fault_hook();
	va_list list;
	va_start(list, format);
	end(format, list,
		"Nothing that depended on it was confirmed; a restart recovers what reached the "
		"disk.");
}

void fault_of_data(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	end(format, list, "A restart finds the same; what is whole is in the latest backup.");
}
