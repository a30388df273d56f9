/*
 * main: arguments -> configuration -> server, nothing else.
 */
#include "base/buffer.h"
#include "command/command.h"
#include "config/config.h"
#include "server/class_test.h"
#include "server/places.h"
#include "server/server.h"

#include <stdio.h>

static void print_and_free(struct buffer *text)
{
	fwrite(text->data, 1, text->size, stdout);
	buffer_fini(text);
}

static void print_note(void *context, const char *names, const char *holds)
{
	(void)context;
	printf("%s: %s\n", names, holds);
}

/* Returns the exit code. */
static int check(struct config *config)
{
	char error[512];
	if (places_check(config, error, sizeof(error)) < 0) {
		fprintf(stderr, "holdfast-server: %s\n", error);
		return 1;
	}
	printf("The configuration is valid\n");
	config_each_note(config, print_note, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	struct config config;
	struct buffer text;
	enum config_action action;
	char error[512];
	int code = 0;
	config_init(&config);
	buffer_init(&text);
	if (config_parse_arguments(&config, argc, argv, &action, error, sizeof(error)) < 0) {
		fprintf(stderr, "holdfast-server: %s\n", error);
		config_fini(&config);
		return 1;
	}
	switch (action) {
	case CONFIG_HELP:
		config_write_help(&text);
		print_and_free(&text);
		break;
	case CONFIG_SAMPLE:
		config_write_sample(&text);
		print_and_free(&text);
		break;
	case CONFIG_COMMANDS:
		command_write_reference(&text);
		print_and_free(&text);
		break;
	case CONFIG_VERSION:
		printf("holdfast-server %s\n", HOLDFAST_VERSION);
		break;
	case CONFIG_CHECK:
		code = check(&config);
		break;
	case CONFIG_TEST: {
		int count;
		char **files = config_test_files(argc, argv, &count);
		code = class_test_run(&config, files, count);
		break;
	}
	case CONFIG_RUN:
		code = server_run(&config);
		break;
	}
	config_fini(&config);
	return code;
}
