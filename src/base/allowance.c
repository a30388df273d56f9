/*
 * allowance: see allowance.h. Everything is read from files, so that a test can have a machine of
 * its own:
 *
 *   /proc/meminfo, sysconf            what the machine has (or what a container's lxcfs says of it)
 *   /proc/self/limits                 RLIMIT_AS and RLIMIT_DATA
 *   /proc/self/cgroup                 the paths of the groups, a line a hierarchy
 *   /sys/fs/cgroup[/unified]/PATH     version 2: memory.max, memory.high, cpu.max
 *   /sys/fs/cgroup/{memory,cpu}/PATH  version 1: memory.limit_in_bytes, cpu.cfs_quota_us
 *
 * A group is held to the limits of every group above it, so each is looked at up to the mount
 * itself. That also finds the limit where PATH is a path of the host that the container does not
 * see: the container's own group is then what is mounted.
 *
 * Half of a limit on address space counts as memory: the other half is for maps, stacks and code.
 *
 * No state; safe from every thread.
 */
#include "base/allowance.h"

#include "base/memory.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define LINE_BYTES 4096

struct reading {
	struct allowance *out;
	const char *root;
};

static void lower_memory(struct allowance *allowance, uint64_t bytes, const char *from)
{
	if (bytes >= allowance->memory_bytes)
		return;
	allowance->memory_bytes = bytes;
	allowance->memory_from = from;
}

static void lower_cores(struct allowance *allowance, uint64_t cores)
{
	if (cores < 1)
		cores = 1;
	if (cores < allowance->cores)
		allowance->cores = (uint32_t)cores;
}

static FILE *open_file(const struct reading *reading, const char *path)
{
	char full[PATH_BYTES];
	int size = snprintf(full, sizeof(full), "%s%s", reading->root, path);
	return size > 0 && (size_t)size < sizeof(full) ? fopen(full, "re") : NULL;
}

/* The first line without its end; false when there is none. */
static bool read_line(const struct reading *reading, const char *path, char line[LINE_BYTES])
{
	FILE *file = open_file(reading, path);
	bool read = file && fgets(line, LINE_BYTES, file);
	if (read)
		line[strcspn(line, "\n")] = '\0';
	if (file)
		fclose(file);
	return read;
}

/* A number at the start of a text; false for "max", "-1", "unlimited" and the like. */
static bool parse_number(const char *text, uint64_t *out)
{
	char *end;
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno == 0 && (*end == '\0' || *end == ' ' || *end == '\t');
}

static bool read_number(const struct reading *reading, const char *path, uint64_t *out)
{
	char line[LINE_BYTES];
	return read_line(reading, path, line) && parse_number(line, out);
}

static void read_machine(const struct reading *reading)
{
	char line[LINE_BYTES];
	uint64_t kib;
	FILE *file = open_file(reading, "/proc/meminfo");
	reading->out->memory_bytes = memory_total();
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "MemTotal:", 9) == 0 &&
			parse_number(line + 9 + strspn(line + 9, " \t"), &kib))
			lower_memory(reading->out, kib << 10, "the machine's memory");
	}
	if (file)
		fclose(file);
}

static void read_resource_limits(const struct reading *reading)
{
	static const char address[] = "Max address space", data[] = "Max data size";
	char line[LINE_BYTES];
	uint64_t bytes;
	FILE *file = open_file(reading, "/proc/self/limits");
	while (file && fgets(line, sizeof(line), file)) {
		bool is_address = strncmp(line, address, strlen(address)) == 0;
		size_t name = is_address ? strlen(address) : strlen(data);
		if (!is_address && strncmp(line, data, strlen(data)) != 0)
			continue;
		if (!parse_number(line + name + strspn(line + name, " "), &bytes))
			continue;
		if (is_address) {
			reading->out->address_bytes = bytes;
			lower_memory(reading->out, bytes / 2, "half of the limit on address space");
		} else {
			lower_memory(reading->out, bytes, "the limit on data size");
		}
	}
	if (file)
		fclose(file);
}

/* --- control groups --------------------------------------------------------------------------- */

static void read_memory_v1(const struct reading *reading, const char *group)
{
	char path[PATH_BYTES];
	uint64_t bytes;
	snprintf(path, sizeof(path), "%s/memory.limit_in_bytes", group);
	if (read_number(reading, path, &bytes))
		lower_memory(reading->out, bytes, "the control group's limit");
}

static void read_cores_v1(const struct reading *reading, const char *group)
{
	char path[PATH_BYTES];
	uint64_t quota, period;
	snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", group);
	bool limited = read_number(reading, path, &quota);
	snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", group);
	if (limited && read_number(reading, path, &period) && period)
		lower_cores(reading->out, (quota + period - 1) / period);
}

/* Above memory.high a group is slowed until it hardly moves: as good as a limit. */
static void read_group_v2(const struct reading *reading, const char *group)
{
	char path[PATH_BYTES], line[LINE_BYTES];
	uint64_t bytes, quota, period;
	snprintf(path, sizeof(path), "%s/memory.max", group);
	if (read_number(reading, path, &bytes))
		lower_memory(reading->out, bytes, "the control group's limit");
	snprintf(path, sizeof(path), "%s/memory.high", group);
	if (read_number(reading, path, &bytes))
		lower_memory(reading->out, bytes, "the control group's memory.high");
	snprintf(path, sizeof(path), "%s/cpu.max", group);
	if (!read_line(reading, path, line) || !parse_number(line, &quota))
		return;
	const char *second = strchr(line, ' ');
	if (second && parse_number(second + 1, &period) && period)
		lower_cores(reading->out, (quota + period - 1) / period);
}

typedef void (*read_group_fn)(const struct reading *reading, const char *group);

/* The group at `path` below `mount`, and those above it. */
static void read_groups(
	const struct reading *reading, const char *mount, const char *path, read_group_fn read)
{
	char group[PATH_BYTES / 2];
	int size = snprintf(group, sizeof(group), "%s%s", mount, path);
	if (size < 0 || (size_t)size >= sizeof(group))
		snprintf(group, sizeof(group), "%s", mount);
	for (;;) {
		read(reading, group);
		char *slash = strrchr(group, '/');
		if (strlen(group) <= strlen(mount) || slash == NULL)
			return;
		*slash = '\0';
	}
}

/* Whether `name` is one of the words in `list`, which ends at `end`. */
static bool is_listed(const char *list, const char *end, const char *name)
{
	size_t size = strlen(name);
	while (list < end) {
		size_t word = strcspn(list, ",:");
		if (word == size && strncmp(list, name, size) == 0)
			return true;
		list += word + 1;
	}
	return false;
}

/* A line is NUMBER:CONTROLLERS:PATH; version 2 is number 0, without controllers. */
static void read_control_groups(const struct reading *reading)
{
	char line[LINE_BYTES];
	FILE *file = open_file(reading, "/proc/self/cgroup");
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		const char *controllers = strchr(line, ':');
		const char *path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (path == NULL)
			continue;
		controllers++;
		if (controllers == path) {
			read_groups(reading, "/sys/fs/cgroup", path + 1, read_group_v2);
			read_groups(reading, "/sys/fs/cgroup/unified", path + 1, read_group_v2);
		}
		if (is_listed(controllers, path, "memory"))
			read_groups(reading, "/sys/fs/cgroup/memory", path + 1, read_memory_v1);
		if (is_listed(controllers, path, "cpu"))
			read_groups(reading, "/sys/fs/cgroup/cpu", path + 1, read_cores_v1);
	}
	if (file)
		fclose(file);
}

void allowance_read(struct allowance *out, const char *root)
{
	struct reading reading = { .out = out, .root = root };
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;
	*out = (struct allowance){
		.address_bytes = ALLOWANCE_UNLIMITED,
		.cores = online > 0 ? (uint32_t)online : 1,
		.memory_from = "the machine's memory",
	};
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		lower_cores(out, (uint64_t)CPU_COUNT(&set));
	read_machine(&reading);
	read_resource_limits(&reading);
	read_control_groups(&reading);
}
