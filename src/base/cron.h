/*
 * cron: times of day as cron writes them: five fields, minute hour day-of-month month day-of-week,
 * each `*`, a number, a range, a list, with steps (of `*` and ranges); names of months and days in
 * any case, 0 and 7 are Sunday; or @hourly, @daily, @weekly, @monthly, @yearly; in UTC. As in cron,
 * when both day fields are restricted, that is do not begin with `*`, either may match
 * (crontab(5)); else both must.
 */
#ifndef BASE_CRON_H
#define BASE_CRON_H

#include "base/slice.h"

#include <stdint.h>

struct cron {
	uint64_t minutes; /* bit n: minute n */
	uint32_t hours;
	uint32_t days;    /* bits 1 to 31 */
	uint16_t months;  /* bits 1 to 12 */
	uint8_t weekdays; /* bit 0: Sunday */
	bool any_day;
	bool any_weekday;
};

/* 0; or -EINVAL and in `error` what is wrong with which field. Lines that no date ever matches (31
 * February) are refused. */
int cron_parse(struct slice text, struct cron *out, char *error, size_t error_size);
/* The first matching minute after `after_ms` (milliseconds since 1970, wall clock); within 41
 * years. INT64_MAX for the last 41 years that an int64_t counts. */
int64_t cron_next(const struct cron *cron, int64_t after_ms);

#endif
