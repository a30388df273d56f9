/*
 * class_test: `holdfast-server --test FILE.lua ...`: tests of classes, written in Lua.
 */
#ifndef SERVER_CLASS_TEST_H
#define SERVER_CLASS_TEST_H

#include "config/config.h"

/* A file whose name ends in `_test.lua` is a test, any other a class named after the file. Prints a
 * line a test and at last `N passed, N failed`. Returns the exit code: 0, 1 when a test failed,
 * a file does not load or nothing was tested, or 2 when no file is a test. */
int class_test_run(struct config *config, char **files, int count);

#endif
