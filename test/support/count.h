/*
 * count: how many elements an array has.
 */
#ifndef TEST_SUPPORT_COUNT_H
#define TEST_SUPPORT_COUNT_H

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
