/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "server/run_inside.h"
#include "version.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

enum { PAGE_SIZE_MAX = 64 * 1024, FREE_PERCENT_MIN = 5 };

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
    return result;
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

static const struct http_route ROUTES[] = {
    {HTTP_GET, "/healthz", on_health},
    {HTTP_GET, "/readyz", on_ready},
    {HTTP_GET, "/metrics", on_metrics},
};

enum result run_admin_start(struct run *run, struct problem *problem)
{
    const struct http_options options = {
        .routes = ROUTES, .route_count = sizeof ROUTES / sizeof *ROUTES, .context = run};
    struct listener_options listen = {
        .address = config_text(run->config, "admin.address"),
        .port = (uint16_t)config_number(run->config, "admin.port"),
        .connection_count_max = 64,
    };
    enum result result = http_create(run->loop, &options, &run->http, problem);

    listen.http = run->http;
    if (result == RESULT_OK)
        result = listener_create(run->loop, &listen, &run->admin_listener, problem);
    if (result != RESULT_OK)
        problem_add(problem, "admin.address and admin.port");
    return result;
}
