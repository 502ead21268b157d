/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "edge/secret.h"
#include "server/http/permit.h"
#include "server/run_inside.h"
#include "version.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PAGE_SIZE_MAX = 64 * 1024, FREE_PERCENT_MIN = 5, TOKEN_SIZE_MIN = 16 };

/* ---- /healthz and /readyz ---- */

static void on_health(void *context, const struct http_request *request,
                      struct http_response *response)
{
    (void)context;
    (void)request;
    http_respond_text(response, 200, "ok\n");
}

static bool is_disk_free(const struct run *run)
{
    struct stat file;
    uint64_t free_size = 0;
    struct problem problem = {0};

    if (files_free_size(run->setup->folder, &free_size, &problem) != RESULT_OK ||
        stat(run->setup->database, &file) != 0)
        return false;
    /* room for a twentieth of what is there, and never less than 64 MiB */
    return free_size > (uint64_t)file.st_size / (100 / FREE_PERCENT_MIN) && free_size > 64u << 20;
}

static void on_ready(void *context, const struct http_request *request,
                     struct http_response *response)
{
    const struct run *run = context;
    bool is_free = is_disk_free(run);

    (void)request;
    if (run->is_stopping)
        http_respond_text(response, 503, "stopping\n");
    else if (run->is_failing)
        http_respond_text(response, 503,
                          is_free ? "the last commit failed\n"
                                  : "the last commit failed: the disk is full\n");
    else if (!is_free)
        http_respond_text(response, 503, "the disk is nearly full\n");
    else
        http_respond_text(response, 200, "ready\n");
}

/* ---- /metrics: Prometheus text format 0.0.4 ---- */

static int64_t file_size(const char *path, const char *suffix)
{
    char name[FILES_PATH_SIZE + 8];
    struct stat file;

    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &file) == 0 ? (int64_t)file.st_size : 0;
}

struct series {
    const char *name;
    const char *type;
    const char *help;
    int64_t value;
};

static enum result append_series(struct buffer *page, const struct series *series,
                                 struct problem *problem)
{
    char text[512];
    int size = snprintf(text, sizeof text, "# HELP fieldsync_%s %s\n# TYPE fieldsync_%s %s\n",
                        series->name, series->help, series->name, series->type);
    enum result result = buffer_append(page, text, (size_t)size, problem);

    size = snprintf(text, sizeof text, "fieldsync_%s %" PRId64 "\n", series->name, series->value);
    return result == RESULT_OK ? buffer_append(page, text, (size_t)size, problem) : result;
}

/* A summary's two series share one HELP and TYPE, as the format wants. */
static enum result append_summary(struct buffer *page, const char *name, const char *help,
                                  int64_t sum, bool is_us, int64_t count, struct problem *problem)
{
    char text[512];
    int size;

    if (is_us)
        size =
            snprintf(text, sizeof text,
                     "# HELP fieldsync_%s %s\n# TYPE fieldsync_%s summary\n"
                     "fieldsync_%s_sum %" PRId64 ".%06" PRId64 "\nfieldsync_%s_count %" PRId64 "\n",
                     name, help, name, name, sum / 1000000, sum % 1000000, name, count);
    else
        size = snprintf(text, sizeof text,
                        "# HELP fieldsync_%s %s\n# TYPE fieldsync_%s summary\n"
                        "fieldsync_%s_sum %" PRId64 "\nfieldsync_%s_count %" PRId64 "\n",
                        name, help, name, name, sum, name, count);
    return buffer_append(page, text, (size_t)size, problem);
}

/* Whoever keeps these figures has seen the root: the log below it can't be rewritten unnoticed. */
static enum result append_root(struct buffer *page, const struct audit_newest *root,
                               struct problem *problem)
{
    char time[WALL_TEXT_SIZE];
    char text[512];
    int size;

    if (root->number == 0)
        return RESULT_OK;
    wall_time_format(root->made_at, time);
    size =
        snprintf(text, sizeof text,
                 "# HELP fieldsync_audit_root_info Newest signed root over the audit log.\n"
                 "# TYPE fieldsync_audit_root_info gauge\n"
                 "fieldsync_audit_root_info{number=\"%" PRId64 "\",made_at=\"%s\",root=\"%s\"} 1\n",
                 root->number, time, root->first);
    return buffer_append(page, text, (size_t)size, problem);
}

static enum result metrics_page(const struct run *run, struct buffer *page, struct problem *problem)
{
    const struct server_status status = server_status(run->server);
    const struct listener_counts counts = listener_counts(run->listener);
    const struct run_counts *own = &run->counts;
    /* clang-format off */
    const struct series series[] = {
        {"connections", "gauge", "Open device connections.",
         (int64_t)status.connection_count},
        {"live_sessions", "gauge", "Sessions past their handshake.",
         (int64_t)status.live_count},
        {"handshakes", "gauge", "Unfinished handshakes.", (int64_t)status.handshake_count},
        {"refused_handshakes_total", "counter", "Handshakes that failed or were turned away.",
         status.refused_handshakes},
        {"held_contacts_total", "counter",
         "Devices told to wait: their disk was copied or put back (device copies).",
         status.held_contacts},
        {"accepted_connections_total", "counter", "Connections accepted.",
         (int64_t)counts.accepted},
        {"refused_connections_total", "counter", "Connections closed unanswered: too many.",
         (int64_t)(counts.refused_full + counts.refused_rate)},
        {"pushes_total", "counter", "Pushes answered.", status.pushes},
        {"changes_total", "counter", "Changes committed, of devices and others.",
         status.changes},
        {"publishes_total", "counter", "States published to devices.", status.publishes},
        {"sent_bytes_total", "counter", "Bytes sent to devices.", status.bytes_sent},
        {"received_bytes_total", "counter", "Bytes received from devices.",
         status.bytes_received},
        {"db_bytes", "gauge", "Size of the database file.",
         file_size(run->setup->database, "")},
        {"wal_bytes", "gauge", "Size of its write-ahead log.",
         file_size(run->setup->database, "-wal")},
        {"head_seq", "gauge", "Newest sequence number of the master.", status.head},
    };
    /* clang-format on */
    static const char BUILD[] = "# HELP fieldsync_build_info This program.\n"
                                "# TYPE fieldsync_build_info gauge\n"
                                "fieldsync_build_info{version=\"" FIELDSYNC_VERSION "\"} 1\n";
    enum result result = buffer_append(page, BUILD, sizeof BUILD - 1, problem);

    for (size_t i = 0; i < sizeof series / sizeof *series && result == RESULT_OK; i++)
        result = append_series(page, &series[i], problem);
    if (result == RESULT_OK)
        result = append_summary(page, "commit_seconds", "Duration of the writer's groups.",
                                own->commit_us, true, own->group_count, problem);
    if (result == RESULT_OK)
        result = append_summary(page, "group_jobs", "Jobs a group of the writer.", own->group_jobs,
                                false, own->group_count, problem);
    return result == RESULT_OK ? append_root(page, &run->root, problem) : result;
}

static void on_metrics(void *context, const struct http_request *request,
                       struct http_response *response)
{
    struct run *run = context;
    struct buffer page;
    struct problem problem = {0};

    (void)request;
    buffer_init(&page, PAGE_SIZE_MAX);
    if (metrics_page(run, &page, &problem) == RESULT_OK)
        http_respond(response, 200, "text/plain; version=0.0.4; charset=utf-8",
                     buffer_bytes(&page));
    else
        http_respond_text(response, 500, problem.text);
    buffer_done(&page);
}

/* ---- /api: the pages ---- */

static void on_post_session(void *context, const struct http_request *request,
                            struct http_response *response)
{
    const struct run *run = context;

    web_post_session(run->web, request, response);
}

static void on_get_session(void *context, const struct http_request *request,
                           struct http_response *response)
{
    const struct run *run = context;

    web_get_session(run->web, request, response);
}

static void on_delete_session(void *context, const struct http_request *request,
                              struct http_response *response)
{
    const struct run *run = context;

    web_delete_session(run->web, request, response);
}

static void on_put_password(void *context, const struct http_request *request,
                            struct http_response *response)
{
    const struct run *run = context;

    web_put_password(run->web, request, response);
}

static const struct http_route ROUTES[] = {
    {HTTP_GET, "/healthz", on_health},
    {HTTP_GET, "/readyz", on_ready},
    {HTTP_GET, "/metrics", on_metrics},
    {HTTP_POST, "/api/session", on_post_session},
    {HTTP_GET, "/api/session", on_get_session},
    {HTTP_DELETE, "/api/session", on_delete_session},
    {HTTP_PUT, "/api/session/password", on_put_password},
};

static bool permit(void *context, const struct http_request *request)
{
    const struct run *run = context;
    const struct permit_rules rules = {
        .token = run->admin_token,
        .origin = config_text(run->config, "admin.origin"),
        .is_private = permit_is_loopback(config_text(run->config, "admin.address")),
    };
    const struct permit_question question = {
        .path = request->path,
        .host = request->headers[HTTP_HOST],
        .origin = request->headers[HTTP_ORIGIN],
        .authorization = request->headers[HTTP_AUTHORIZATION],
        .fetch_site = request->headers[HTTP_SEC_FETCH_SITE],
        .is_change = request->method != HTTP_GET,
        .is_tls = request->tls,
    };

    return permit_admin(&question, &rules);
}

static bool ask(void *context, struct job *job, void (*done)(void *context, struct job *job),
                void *done_context)
{
    return run_ask(context, job, done, done_context);
}

static void note_refusal(void *context, enum tally_kind kind, int64_t user_id, const char *text)
{
    run_step(context,
             (struct server_event){
                 .kind = SERVER_EVENT_REFUSAL, .refusal = kind, .user_id = user_id, .text = text});
}

static enum result start_web(struct run *run, struct problem *problem)
{
    const char *origin = config_text(run->config, "admin.origin");
    const struct web_options options = {
        .loop = run->loop,
        .limits = {.idle_us = config_number(run->config, "web.idle"),
                   .age_us = config_number(run->config, "web.age")},
        .is_secure = origin != NULL && strncmp(origin, "https:", 6) == 0,
        .context = run,
        .submit = ask,
        .refused = note_refusal,
    };

    if (origin != NULL && !permit_is_origin(origin))
        return problem_set(problem, RESULT_REFUSED,
                           "admin.origin: '%s' is not of the form https://name[:port], in lower"
                           " case and without a path",
                           origin);
    return web_create(&options, &run->web, problem);
}

/* From elsewhere than this machine the figures are for the holder of a token only. */
static enum result read_token(struct run *run, struct problem *problem)
{
    struct buffer secret;
    enum result result = RESULT_OK;

    if (!config_is_set(run->config, "admin.token_file"))
        return permit_is_loopback(config_text(run->config, "admin.address"))
                   ? RESULT_OK
                   : problem_set(problem, RESULT_REFUSED,
                                 "others than this machine reach it: set admin.token_file, too");
    buffer_init(&secret, CONFIG_SECRET_SIZE_MAX);
    result = config_read_secret(run->config, "admin.token_file", &secret, problem);
    if (result == RESULT_OK && secret.size < TOKEN_SIZE_MIN)
        result = problem_set(problem, RESULT_REFUSED, "admin.token_file: at least %d characters",
                             TOKEN_SIZE_MIN);
    if (result == RESULT_OK) {
        run->admin_token = secret_alloc(secret.size + 1);
        if (run->admin_token == NULL)
            result = problem_set(problem, RESULT_EXHAUSTED, "no memory for a token");
        else
            memcpy(run->admin_token, secret.data, secret.size);
    }
    if (secret.data != NULL)
        identity_wipe(secret.data, secret.size);
    buffer_done(&secret);
    return result;
}

enum result run_admin_start(struct run *run, struct problem *problem)
{
    const struct http_options options = {.routes = ROUTES,
                                         .route_count = sizeof ROUTES / sizeof *ROUTES,
                                         .context = run,
                                         .body_size_max = WEB_BODY_SIZE_MAX,
                                         .permit = permit};
    struct listener_options listen = {
        .address = config_text(run->config, "admin.address"),
        .port = (uint16_t)config_number(run->config, "admin.port"),
        .certificate_path = config_text(run->config, "admin.certificate"),
        .key_path = config_text(run->config, "admin.certificate_key"),
        .connection_count_max = 256,
    };
    enum result result = read_token(run, problem);

    if (result == RESULT_OK)
        result = start_web(run, problem);
    if (result == RESULT_OK)
        result = http_create(run->loop, &options, &run->http, problem);
    listen.http = run->http;
    if (result == RESULT_OK)
        web_attach(run->web, run->http);
    if (result == RESULT_OK)
        result = listener_create(run->loop, &listen, &run->admin_listener, problem);
    if (result != RESULT_OK)
        problem_add(problem, "admin.address and admin.port");
    return result;
}
