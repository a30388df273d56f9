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

void fault(const char *format, ...)
{
	if (fault_hook)
		fault_hook();
	char text[512];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	logline(LOGLINE_WARNING,
		"FATAL: %s. Nothing that depended on it was confirmed; a restart "
		"recovers what reached the disk.",
		text);
	abort();
}
