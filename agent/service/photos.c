/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/photos.h"

#include <sodium.h>
#include <string.h>

enum { PIECE_SIZE = 256 * 1024 };

static const struct {
    const char *extension;
    const char *mime_type;
} TYPES[] = {
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"png", "image/png"},
    {"webp", "image/webp"},
    {"heic", "image/heic"},
    {"gif", "image/gif"},
    {"pdf", "application/pdf"},
    {"txt", "text/plain"},
    {"csv", "text/csv"},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"mp4", "video/mp4"},
};

static bool is_extension(const char *text, const char *extension)
{
    size_t size = strlen(extension);

    if (strlen(text) != size)
        return false;
    for (size_t i = 0; i < size; i++) {
        char lower = text[i];

        if (lower >= 'A' && lower <= 'Z')
            lower = (char)(lower - 'A' + 'a');
        if (lower != extension[i])
            return false;
    }
    return true;
}

const char *photo_mime_type(const char *name)
{
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot != NULL && i < sizeof TYPES / sizeof TYPES[0]; i++)
        if (is_extension(dot + 1, TYPES[i].extension))
            return TYPES[i].mime_type;
    return "application/octet-stream";
}

enum result photo_store(struct service *service, struct bytes content,
                        char ret_hash[PHOTO_HASH_TEXT_SIZE], struct problem *problem)
{
    uint8_t hash[BLOB_STORE_HASH_SIZE];
    int64_t held = 0;
    bool is_whole = false;
    enum result result;

    if (service->blobs == NULL)
        return problem_set(problem, RESULT_REFUSED, "there is no folder for attachments");
    crypto_generichash(hash, sizeof hash, content.data, content.size, NULL, 0);
    result = service->blobs->operations->status(service->blobs, hash, &held, &is_whole, problem);
    while (result == RESULT_OK && !is_whole) {
        size_t left = content.size - (size_t)held;
        size_t size = left < PIECE_SIZE ? left : PIECE_SIZE;

        if (held < 0 || (size_t)held > content.size)
            return problem_set(problem, RESULT_STORAGE, "the stored part is larger than the whole");
        is_whole = size == left;
        result = service->blobs->operations->append(
            service->blobs, hash, held, bytes_of(content.data + held, size), is_whole, problem);
        held += (int64_t)size;
    }
    if (result == RESULT_OK)
        bytes_to_hex(bytes_of(hash, sizeof hash), ret_hash);
    return result;
}

enum result photo_add(struct service *service, const struct photo *photo, int64_t *ret_id,
                      struct problem *problem)
{
    char hash[PHOTO_HASH_TEXT_SIZE];
    enum result result;

    if (photo->content.size == 0 || photo->content.size > PHOTO_SIZE_MAX)
        return problem_set(problem, RESULT_REFUSED, "a file of 1 byte to 64 MiB, not of %zu",
                           photo->content.size);
    if (photo->name[0] == '\0' || strlen(photo->name) > 255)
        return problem_set(problem, RESULT_REFUSED, "a file name of 1 to 255 bytes");
    result = photo_store(service, photo->content, hash, problem);
    if (result != RESULT_OK)
        return result;
    result = service_change_begin(service, problem);
    if (result != RESULT_OK)
        return result;
    result = service_insert(
        service,
        "INSERT INTO attachment (id, activity_id, call_id, asset_id, name, mime_type, size_n, "
        "content_hash, created_at, by_id, is_customer_visible) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        SERVICE_VALUES(service_id(photo->activity_id), service_id(photo->call_id),
                       service_id(photo->asset_id), value_text_of(photo->name),
                       value_text_of(photo_mime_type(photo->name)),
                       value_integer((int64_t)photo->content.size), value_text_of(hash),
                       value_integer(service->now.us), value_integer(service->who.user_id),
                       value_integer(photo->is_customer_visible)),
        ret_id, problem);
    return service_change_end(service, result, false, problem);
}

static const struct listing_column COLUMNS[] = {
    {"id", "ID", LISTING_ID},
    {"name", "NAME", LISTING_TEXT},
    {"mime_type", "TYPE", LISTING_TEXT},
    {"size", "BYTES", LISTING_NUMBER},
    {"created_at", "WHEN", LISTING_TIME},
    {"by", "BY", LISTING_TEXT},
    {"content_hash", NULL, LISTING_TEXT},
};
static const struct listing_query LIST = LISTING_QUERY(
    "SELECT f.id, f.name, f.mime_type, f.size_n, f.created_at, u.name, f.content_hash "
    "FROM activity a JOIN call c ON c.id = a.call_id JOIN attachment f ON f.activity_id = a.id "
    "OR f.call_id = c.id OR f.asset_id = coalesce(a.asset_id, c.asset_id) "
    "LEFT JOIN app_user u ON u.id = f.by_id WHERE a.id = ?1 ORDER BY f.created_at, f.id",
    COLUMNS);

enum result photo_list(struct service *service, int64_t activity_id, struct arena *arena,
                       struct listing *ret_listing, struct problem *problem)
{
    return service_list(service, &LIST, SERVICE_VALUES(value_integer(activity_id)), arena,
                        ret_listing, problem);
}
