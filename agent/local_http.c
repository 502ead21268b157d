/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/local_http.h"

#include "agent/cli/status_json.h"
#include "edge/entropy.h"
#include "edge/files.h"
#include "edge/http.h"
#include "edge/permit.h"
#include "edge/secret.h"
#include "edge/websocket_listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOCAL_TOKEN_SIZE = 32,
    LOCAL_TOKEN_TEXT_SIZE = 2 * LOCAL_TOKEN_SIZE + 1,
    TOKEN_FILE_MODE = 0600,
    ADDRESS_SIZE = 64,
    ANSWER_SIZE_MAX = 64 * 1024,
    CONNECTIONS_MAX = 16,
};

struct local_http {
    struct local_http_options options;
    struct http *http;
    struct listener *listener;
    char token_path[FILES_PATH_SIZE];
    char *token; /* hexadecimal, in guarded memory */
};

/* "127.0.0.1:7745", "[::1]:7745" */
static enum result parse(const char *listen, char ret_address[ADDRESS_SIZE], uint16_t *ret_port,
                         struct problem *problem)
{
    const char *colon = strrchr(listen, ':');
    size_t size = colon == NULL ? 0 : (size_t)(colon - listen);
    char *end = NULL;
    long port = -1;

    if (size > 1 && listen[0] == '[' && listen[size - 1] == ']') {
        listen++;
        size -= 2;
    }
    memset(ret_address, 0, ADDRESS_SIZE);
    if (size > 0 && size < ADDRESS_SIZE)
        memcpy(ret_address, listen, size);
    errno = 0;
    if (colon != NULL && colon[1] >= '0' && colon[1] <= '9')
        port = strtol(colon + 1, &end, 10);
    if (port < 0 || port > 65535 || errno != 0 || *end != '\0')
        return problem_set(problem, RESULT_REFUSED,
                           "http.listen: give an address and a port, like 127.0.0.1:7745");
    if (!permit_is_loopback(ret_address))
        return problem_set(problem, RESULT_REFUSED,
                           "http.listen: '%s' can be reached from elsewhere; only 127.0.0.1, ::1"
                           " and localhost are allowed",
                           ret_address);
    *ret_port = (uint16_t)port;
    return RESULT_OK;
}

enum result local_http_check(const char *listen, struct problem *problem)
{
    char address[ADDRESS_SIZE];
    uint16_t port = 0;

    return parse(listen, address, &port, problem);
}

/* ---- answers ---- */

static bool permit(void *context, const struct http_request *request)
{
    const struct local_http *local = context;

    return request->headers[HTTP_ORIGIN][0] == '\0' &&
           permit_is_own_host(request->headers[HTTP_HOST]) &&
           permit_is_bearer(request->headers[HTTP_AUTHORIZATION], local->token);
}

static void on_status(void *context, const struct http_request *request,
                      struct http_response *response)
{
    const struct local_http *local = context;
    const struct local_http_options *options = &local->options;
    struct buffer page;
    struct problem problem = {0};
    enum result result;

    (void)request;
    buffer_init(&page, ANSWER_SIZE_MAX);
    result =
        status_json(options->replica, options->data_folder, true, options->state, &page, &problem);
    if (result == RESULT_OK)
        http_respond(response, 200, "application/json", buffer_bytes(&page));
    else
        http_respond_text(response, result == RESULT_WAIT ? 503 : 500, problem.text);
    buffer_done(&page);
}

static const struct http_route ROUTES[] = {
    {HTTP_GET, "/api/status", on_status},
};

/* ---- life ---- */

static enum result make_token(struct local_http *local, struct problem *problem)
{
    uint8_t token[LOCAL_TOKEN_SIZE];
    enum result result =
        files_join(local->options.data_folder, LOCAL_TOKEN_FILE_NAME, local->token_path, problem);

    local->token = secret_alloc(LOCAL_TOKEN_TEXT_SIZE);
    if (result == RESULT_OK && local->token == NULL)
        result = problem_set(problem, RESULT_EXHAUSTED, "no memory for a token");
    if (result != RESULT_OK)
        return result;
    entropy_fill(token, sizeof token);
    bytes_to_hex(bytes_of(token, sizeof token), local->token);
    secret_wipe(token, sizeof token);
    return files_write(local->token_path, bytes_of_text(local->token), TOKEN_FILE_MODE, problem);
}

static enum result open_port(struct local_http *local, struct loop *loop, struct problem *problem)
{
    const struct http_options http = {.routes = ROUTES,
                                      .route_count = sizeof ROUTES / sizeof *ROUTES,
                                      .context = local,
                                      .body_size_max = 1,
                                      .permit = permit};
    char address[ADDRESS_SIZE];
    struct listener_options listen = {.address = address, .connection_count_max = CONNECTIONS_MAX};
    enum result result = parse(local->options.listen, address, &listen.port, problem);

    if (result == RESULT_OK)
        result = make_token(local, problem);
    if (result == RESULT_OK)
        result = http_create(loop, &http, &local->http, problem);
    listen.http = local->http;
    return result == RESULT_OK ? listener_create(loop, &listen, &local->listener, problem) : result;
}

enum result local_http_open(struct loop *loop, const struct local_http_options *options,
                            struct local_http **ret_local, struct problem *problem)
{
    struct local_http *local = calloc(1, sizeof *local);
    enum result result;

    if (local == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for http");
    local->options = *options;
    result = open_port(local, loop, problem);
    if (result != RESULT_OK) {
        local_http_close(local);
        problem_add(problem, "http.listen %s", options->listen);
        return result;
    }
    *ret_local = local;
    return RESULT_OK;
}

void local_http_close(struct local_http *local)
{
    struct problem ignored = {0};

    if (local == NULL)
        return;
    listener_destroy(local->listener);
    http_destroy(local->http);
    if (local->token != NULL && files_remove(local->token_path, &ignored) != RESULT_OK)
        ignored.text[0] = '\0'; /* it opens nothing any more */
    secret_free(local->token);
    free(local);
}

uint16_t local_http_port(const struct local_http *local)
{
    return listener_port(local->listener);
}
