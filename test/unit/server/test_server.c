/*
 * A whole server in a process of its own, listening on a unix socket in its data directory: that it
 * starts, stops when it is told to, keeps its data, and says why when it cannot start.
 */
#include "server/data_directory.h"
#include "server/server.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 30000
#define LOOK_MS     10

struct fixture {
	char directory[64];
	char socket[96];
	char output[96]; /* what the server says on both of its outputs */
	pid_t child;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->directory, "/tmp/holdfast-server-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->socket, sizeof(f->socket), "%s/socket", f->directory);
	snprintf(f->output, sizeof(f->output), "%s/output", f->directory);
	*state = f;
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	int status;
	if (f->child) {
		kill(f->child, SIGKILL);
		waitpid(f->child, &status, 0);
	}
	nftw(f->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void run_child(const struct fixture *f, const char *option, const char *value)
{
	struct config config;
	enum config_action action;
	char error[256];
	int output = open(f->output, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	const char *arguments[] = { "holdfast-server", "--port", "0", "--dir", f->directory,
		"--unixsocket", f->socket, "--map-size", "1gb", option, value, NULL };
	config_init(&config);
	int count = option ? 11 : 9;
	if (config_parse_arguments(&config, count, (char **)(uintptr_t)arguments, &action, error,
		    sizeof(error)) != 0) {
		fprintf(stderr, "%s\n", error);
		_exit(99);
	}
	int code = server_run(&config);
	config_fini(&config);
	exit(code);
}

static void start(struct fixture *f, const char *option, const char *value)
{
	f->child = fork();
	assert_true(f->child >= 0);
	if (f->child == 0)
		run_child(f, option, value);
}

static int exit_code(struct fixture *f)
{
	int status;
	assert_int_equal(waitpid(f->child, &status, 0), f->child);
	f->child = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int stop(struct fixture *f, int number)
{
	kill(f->child, number);
	return exit_code(f);
}

/* A connection to the server, as soon as it listens. */
static int connect_to(const struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
	for (int waited = 0; waited < PATIENCE_MS; waited += LOOK_MS) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		close(fd);
		poll(NULL, 0, LOOK_MS);
	}
	return -1;
}

static void ask(int server, const char *command, const char *expected)
{
	char answer[256];
	size_t size = 0, wanted = strlen(expected);
	assert_int_equal(send(server, command, strlen(command), MSG_NOSIGNAL), strlen(command));
	while (size < wanted) {
		ssize_t got = recv(server, answer + size, wanted - size, 0);
		assert_true(got > 0);
		size += (size_t)got;
	}
	answer[size] = '\0';
	assert_string_equal(answer, expected);
}

static bool said(const struct fixture *f, const char *words)
{
	char text[8192];
	int fd = open(f->output, O_RDONLY);
	ssize_t size = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[size > 0 ? size : 0] = '\0';
	return strstr(text, words) != NULL;
}

static void stops_when_told_and_keeps_what_it_had(void **state)
{
	static const int numbers[] = { SIGTERM, SIGINT };
	struct fixture *f = *state;
	char expected[16];
	for (int i = 0; i < 2; i++) {
		start(f, NULL, NULL);
		int server = connect_to(f);
		assert_true(server >= 0);
		snprintf(expected, sizeof(expected), ":%d\r\n", i + 1);
		ask(server, "INCR starts\r\n", expected);
		assert_int_equal(stop(f, numbers[i]), 0);
		assert_true(said(f, "Stopped; everything is on disk"));
		close(server);
	}
}

/* A shell ignores SIGINT for what it runs in the background; others block signals. */
static void stops_whatever_its_parent_had_ignored_or_blocked(void **state)
{
	static const int numbers[] = { SIGTERM, SIGINT };
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		sigset_t blocked, before;
		sigemptyset(&blocked);
		sigaddset(&blocked, numbers[i]);
		pthread_sigmask(SIG_BLOCK, &blocked, &before);
		signal(numbers[i], SIG_IGN);
		start(f, NULL, NULL);
		signal(numbers[i], SIG_DFL);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		int server = connect_to(f);
		ask(server, "PING\r\n", "+PONG\r\n");
		assert_int_equal(stop(f, numbers[i]), 0);
		close(server);
	}
}

static void other_signals_do_not_end_it(void **state)
{
	static const int numbers[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGVTALRM,
		SIGPROF, SIGIO, SIGPWR, SIGWINCH, SIGURG, SIGCHLD, SIGCONT };
	struct fixture *f = *state;
	start(f, NULL, NULL);
	int server = connect_to(f);
	ask(server, "PING\r\n", "+PONG\r\n");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		assert_int_equal(kill(f->child, numbers[i]), 0);
		ask(server, "PING\r\n", "+PONG\r\n");
	}
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		assert_int_equal(kill(f->child, number), 0);
	ask(server, "PING\r\n", "+PONG\r\n");
	assert_int_equal(stop(f, SIGTERM), 0);
	close(server);
}

static void keeps_what_it_confirmed_when_it_is_killed(void **state)
{
	struct fixture *f = *state;
	start(f, NULL, NULL);
	int server = connect_to(f);
	ask(server, "SET a 1\r\n", "+OK\r\n");
	ask(server, "MSET b 2 c 3\r\n", "+OK\r\n");
	assert_int_equal(stop(f, SIGKILL), 128 + SIGKILL);
	close(server);
	start(f, "--workers", "3");
	server = connect_to(f);
	ask(server, "MGET a b c\r\n", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
	assert_int_equal(stop(f, SIGTERM), 0);
	assert_true(said(f, "2 records replayed"));
	close(server);
}

static void shutdown_is_a_way_to_stop_it(void **state)
{
	struct fixture *f = *state;
	start(f, NULL, NULL);
	int server = connect_to(f);
	ask(server, "SET a 1\r\n", "+OK\r\n");
	assert_int_equal(send(server, "SHUTDOWN\r\n", 10, MSG_NOSIGNAL), 10);
	assert_int_equal(exit_code(f), 0);
	close(server);
}

static void a_directory_in_use_is_a_reason_not_to_start(void **state)
{
	struct fixture *f = *state;
	char error[256];
	int lock = data_directory_open(f->directory, error, sizeof(error));
	assert_true(lock >= 0);
	start(f, NULL, NULL);
	assert_int_equal(exit_code(f), 1);
	assert_true(said(f, "holdfast-server: "));
	assert_true(said(f, "is in use by process"));
	close(lock);
}

static void nothing_to_listen_on_is_a_reason_not_to_start(void **state)
{
	struct fixture *f = *state;
	start(f, "--unixsocket", "");
	assert_int_equal(exit_code(f), 1);
	assert_true(said(f, "nothing to listen on"));
	start(f, NULL, NULL); /* and it has let go of everything */
	int server = connect_to(f);
	ask(server, "PING\r\n", "+PONG\r\n");
	assert_int_equal(stop(f, SIGTERM), 0);
	close(server);
}

static void a_log_file_that_cannot_be_written_is_a_reason_not_to_start(void **state)
{
	struct fixture *f = *state;
	start(f, "--logfile", "/no/such/directory/log");
	assert_int_equal(exit_code(f), 1);
	assert_true(said(f, "/no/such/directory/log"));
}

int main(void)
{
	/* Children are waited for, and have the usual signals, whatever started the tests. */
	static const int numbers[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		signal(numbers[i], SIG_DFL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(stops_when_told_and_keeps_what_it_had),
		TEST(stops_whatever_its_parent_had_ignored_or_blocked),
		TEST(other_signals_do_not_end_it),
		TEST(keeps_what_it_confirmed_when_it_is_killed),
		TEST(shutdown_is_a_way_to_stop_it),
		TEST(a_directory_in_use_is_a_reason_not_to_start),
		TEST(nothing_to_listen_on_is_a_reason_not_to_start),
		TEST(a_log_file_that_cannot_be_written_is_a_reason_not_to_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
