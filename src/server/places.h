/*
 * places: whether the directories and files that a configuration names can be used as they are on
 * this machine, by whoever asks: for --check-config, which makes nothing.
 */
#ifndef SERVER_PLACES_H
#define SERVER_PLACES_H

#include "config/config.h"

/* 0; or negative errno and in `error` the first parameter that the start would fail by, and why. */
int places_check(struct config *config, char *error, size_t error_size);

#endif
