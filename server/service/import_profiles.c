/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in profiles: which column of which public data set becomes what. All of it is data. */
#include "server/service/import_profile.h"

#include <stddef.h>
#include <string.h>

/* A column that needs neither argument nor flags. */
#define PLAIN(name, kind, source)                                                                  \
    {                                                                                              \
        name, kind, source, NULL, 0                                                                \
    }
#define LITERAL(name, text)                                                                        \
    {                                                                                              \
        name, IMPORT_TEXT, text, NULL, 0                                                           \
    }
#define REFERS(name, table, key)                                                                   \
    {                                                                                              \
        name, IMPORT_REFERENCE, key, table, IMPORT_REQUIRED                                        \
    }
#define COLUMNS(...) ((const struct import_column[]){__VA_ARGS__, {.name = NULL}})

/* ---- nyc-elevators: lifts of New York City with their buildings ----
 * A building is customer and site at once, as nobody else is named. Its technical data goes into an
 * entry of the lift's history as it stands (travel is 60', 60, 22 ft, ...). */

static const struct import_column NYC_PARTY[] = {
    LITERAL("kind", "customer"),
    PLAIN("name", IMPORT_TIDY, "{HOUSE_NUMBER} {STREET_NAME}[, {Borough}]"),
    PLAIN("street", IMPORT_TIDY, "{HOUSE_NUMBER} {STREET_NAME}"),
    PLAIN("city", IMPORT_TIDY, "{Borough}"),
    PLAIN("post_code", IMPORT_POST_CODE, "{ZIP_CODE}"),
    LITERAL("province", "NY"),
    LITERAL("country", "US"),
    {.name = NULL},
};
static const struct import_column NYC_SITE[] = {
    REFERS("party_id", "party", "{BIN}"),
    PLAIN("name", IMPORT_TIDY, "{HOUSE_NUMBER} {STREET_NAME}"),
    PLAIN("street", IMPORT_TIDY, "{HOUSE_NUMBER} {STREET_NAME}"),
    PLAIN("city", IMPORT_TIDY, "{Borough}"),
    PLAIN("post_code", IMPORT_POST_CODE, "{ZIP_CODE}"),
    LITERAL("province", "NY"),
    LITERAL("country", "US"),
    PLAIN("territory", IMPORT_TIDY, "{Borough}"),
    {"lat_e7", IMPORT_DECIMAL, "{LATITUDE}", "7~", 0},
    {"lon_e7", IMPORT_DECIMAL, "{LONGITUDE}", "7~", 0},
    {.name = NULL},
};
static const struct import_column NYC_MODEL[] = {
    PLAIN("code", IMPORT_TIDY, "{Device Type}"),
    PLAIN("name", IMPORT_TIDY, "{Device Type}"),
    LITERAL("nature", "machine"),
    LITERAL("category", "lift"),
    {.name = NULL},
};
static const struct import_column NYC_ASSET[] = {
    REFERS("model_id", "asset_model", "{Device Type}"),
    PLAIN("serial", IMPORT_TEXT, "{DV_DEVICE_NUMBER}"),
    REFERS("site_id", "site", "{BIN}"),
    REFERS("owner_id", "party", "{BIN}"),
    PLAIN("position", IMPORT_TIDY, "[floors {DV_FLOOR_FROM} to {DV_FLOOR_TO}]"),
    PLAIN("installed_d", IMPORT_DATE, "{DV_APPROVAL_DATE}"),
    {"state", IMPORT_CHOICE, "{Device Status}", "D=scrapped;*=active", 0},
    {.name = NULL},
};
static const struct import_column NYC_INSPECTION[] = {
    REFERS("asset_id", "asset", "{DV_DEVICE_NUMBER}"),
    LITERAL("kind", "inspect"),
    {"occurred_at", IMPORT_INSTANT, "{DV_LASTPER_INSP_DATE}", NULL, IMPORT_REQUIRED},
    REFERS("site_id", "site", "{BIN}"),
    PLAIN("note", IMPORT_TIDY, "periodic inspection[, outcome {DV_LASTPER_INSP_DISP}]"),
    {.name = NULL},
};
static const struct import_column NYC_DATA[] = {
    REFERS("asset_id", "asset", "{DV_DEVICE_NUMBER}"),
    LITERAL("kind", "inspect"),
    {"occurred_at", IMPORT_INSTANT, "{DV_STATUS_DATE}", NULL, IMPORT_REQUIRED},
    REFERS("site_id", "site", "{BIN}"),
    PLAIN("note", IMPORT_TIDY,
          "status {DV_DEVICE_STATUS_DESCRIPTION}[; maker {DV_MANUFACTURER}]"
          "[; travel {DV_TRAVEL_DISTANCE}][; speed {DV_SPEED_FPM} ft/min]"
          "[; capacity {DV_CAPACITY_LBS} lb][; buffer {DV_CAR_BUFFER_TYPE}]"
          "[; governor {DV_GOVERNOR_TYPE}][; machine {DV_MACHINE_TYPE}]"
          "[; safety {DV_SAFETY_TYPE}][; operation {DV_MODE_OPERATION}]"),
    {.name = NULL},
};
static const struct import_target NYC_TARGETS[] = {
    {"party", "{BIN}", 0, NULL, NYC_PARTY},
    {"site", "{BIN}", 0, NULL, NYC_SITE},
    {"asset_model", "{Device Type}", 0, "code", NYC_MODEL},
    {"asset", "{DV_DEVICE_NUMBER}", IMPORT_MAIN, NULL, NYC_ASSET},
    {"asset_event", "{DV_DEVICE_NUMBER}/inspection/{DV_LASTPER_INSP_DATE}", IMPORT_OPTIONAL, NULL,
     NYC_INSPECTION},
    {"asset_event", "{DV_DEVICE_NUMBER}/status/{DV_STATUS_DATE}", IMPORT_OPTIONAL, NULL, NYC_DATA},
    {.table = NULL},
};
static const struct import_filter NYC_FILTERS[] = {
    {"{STREET_NAME}", "DUMMY RECORD", "a dummy record of the source"},
    {.source = NULL},
};
static const struct import_file NYC_FILES[] = {
    {.help = "elevators.csv", .has_heading = true, .filters = NYC_FILTERS, .targets = NYC_TARGETS},
    {.targets = NULL},
};

/* ---- openrepair: repair events as closed calls with their outcome ---- */

#define ORA_COUNTRIES                                                                              \
    "GBR=GB;BEL=BE;ITA=IT;CAN=CA;NOR=NO;ARG=AR;SWE=SE;ESP=ES;FRA=FR;DEU=DE;NLD=NL;IRL=IE;DNK=DK;"  \
    "AUS=AU;USA=US;CHE=CH;AUT=AT;PRT=PT;FIN=FI;ISL=IS;ISR=IL;IND=IN;HKG=HK;BEN=BJ;TWN=TW;TUN=TN;"  \
    "JEY=JE;GGY=GG;"                                                                               \
    "IMN=IM;NZL=NZ;LUX=LU;POL=PL;GRC=GR;JPN=JP;ZAF=ZA;MEX=MX;BRA=BR;CHL=CL;URY=UY;CZE=CZ;HUN=HU;"  \
    "*=?"

static const struct import_column ORA_PARTY[] = {
    LITERAL("kind", "customer"),
    PLAIN("name", IMPORT_TIDY, "{group_identifier}"),
    {"country", IMPORT_CHOICE, "{country}", ORA_COUNTRIES, 0},
    {.name = NULL},
};
static const struct import_column ORA_SITE[] = {
    REFERS("party_id", "party", "{group_identifier}"),
    PLAIN("name", IMPORT_TIDY, "{group_identifier}"),
    {"country", IMPORT_CHOICE, "{country}", ORA_COUNTRIES, 0},
    {.name = NULL},
};
static const struct import_column ORA_TYPE[] = {
    LITERAL("name", "Repair event"),
    LITERAL("mode", "workshop"),
    PLAIN("is_billable", IMPORT_INTEGER, "0"),
    PLAIN("default_min", IMPORT_INTEGER, "60"),
    {.name = NULL},
};
static const struct import_column ORA_CALL[] = {
    PLAIN("number_text", IMPORT_TEXT, "{id}"),
    LITERAL("channel", "visit"),
    REFERS("party_id", "party", "{group_identifier}"),
    REFERS("site_id", "site", "{group_identifier}"),
    PLAIN("problem_code", IMPORT_TIDY, "{product_category}"),
    PLAIN("subject", IMPORT_TIDY, "{product_category}[: {brand}]"),
    PLAIN("description", IMPORT_TEXT, "{problem}"),
    {"opened_at", IMPORT_INSTANT, "{event_date}", NULL, IMPORT_REQUIRED},
    {"state", IMPORT_TEXT, "closed", NULL, IMPORT_ON_INSERT},
    {.name = NULL},
};
/* The events that a fold of the call needs to come to the state above. */
static const struct import_column ORA_ANSWER[] = {
    REFERS("call_id", "call", "{id}"),
    LITERAL("kind", "answer"),
    {"occurred_at", IMPORT_INSTANT, "{event_date}", NULL, IMPORT_REQUIRED},
    LITERAL("by_roles", "help_desk"),
    PLAIN("accepted_n", IMPORT_INTEGER, "1"),
    {.name = NULL},
};
static const struct import_column ORA_CLOSE[] = {
    REFERS("call_id", "call", "{id}"),
    LITERAL("kind", "close"),
    {"occurred_at", IMPORT_INSTANT, "{event_date}", NULL, IMPORT_REQUIRED},
    LITERAL("by_roles", "help_desk"),
    PLAIN("accepted_n", IMPORT_INTEGER, "2"),
    {.name = NULL},
};
static const struct import_column ORA_ACTIVITY[] = {
    REFERS("call_id", "call", "{id}"),
    REFERS("activity_type_id", "activity_type", "repair event"),
    {"state", IMPORT_TEXT, "approved", NULL, IMPORT_ON_INSERT},
    {.name = NULL},
};
static const struct import_column ORA_RESULT[] = {
    REFERS("activity_id", "activity", "{id}"),
    {"outcome", IMPORT_CHOICE, "{repair_status}",
     "Fixed=solved;Repairable=not_solved;End of life=not_solved;Unknown=;*=?", 0},
    PLAIN("cause", IMPORT_TIDY, "{repair_barrier_if_end_of_life}"),
    PLAIN("report_text", IMPORT_TEXT, "{problem}"),
    {"is_follow_up", IMPORT_NUMBER_CHOICE, "{repair_status}", "Repairable=1;*=0", 0},
    {.name = NULL},
};
static const struct import_target ORA_TARGETS[] = {
    {"party", "{group_identifier}", 0, NULL, ORA_PARTY},
    {"site", "{group_identifier}", 0, NULL, ORA_SITE},
    {"activity_type", "repair event", 0, NULL, ORA_TYPE},
    {"call", "{id}", IMPORT_MAIN, NULL, ORA_CALL},
    {"call_event", NULL, IMPORT_ONCE, NULL, ORA_ANSWER},
    {"call_event", NULL, IMPORT_ONCE, NULL, ORA_CLOSE},
    {"activity", "{id}", 0, NULL, ORA_ACTIVITY},
    {"activity_result", "{id}", 0, NULL, ORA_RESULT},
    {.table = NULL},
};
static const struct import_file ORA_FILES[] = {
    {.help = "repair_events.csv", .has_heading = true, .targets = ORA_TARGETS},
    {.targets = NULL},
};

/* ---- adventureworks: parts, costs, prices, stock, suppliers and shops; positions, no heading ----
 */

static const struct import_target AW_SUBCATEGORY[] = {
    {"subcategory", "{1}", IMPORT_IS_MEMO, NULL, COLUMNS(PLAIN("name", IMPORT_TEXT, "{3}"))},
    {.table = NULL},
};
static const struct import_column AW_ITEM[] = {
    {"code", IMPORT_TEXT, "{3}", NULL, IMPORT_REQUIRED},
    PLAIN("name", IMPORT_TIDY, "{2}"),
    LITERAL("unit_of_measure", "pcs"),
    {"category", IMPORT_MEMO, "{19}", "subcategory", 0},
    {.name = NULL},
};
static const struct import_column AW_COST[] = {
    REFERS("item_id", "item", "{1}"),
    {"from_d", IMPORT_DATE, "{21}", NULL, IMPORT_REQUIRED},
    {"cost_e4", IMPORT_DECIMAL, "{9}", "4+", IMPORT_REQUIRED},
    {.name = NULL},
};
static const struct import_column AW_LIST[] = {
    LITERAL("name", "AdventureWorks list price"),
    LITERAL("currency", "USD"),
    {.name = NULL},
};
static const struct import_column AW_PRICE[] = {
    REFERS("list_id", "price_list", "list"),
    REFERS("item_id", "item", "{1}"),
    {"from_d", IMPORT_DATE, "{21}", NULL, IMPORT_REQUIRED},
    PLAIN("min_m", IMPORT_INTEGER, "0"),
    {"price_e4", IMPORT_DECIMAL, "{10}", "4+", IMPORT_REQUIRED},
    {.name = NULL},
};
static const struct import_target AW_PRODUCT[] = {
    {"price_list", "list", 0, NULL, AW_LIST},
    {"item", "{1}", IMPORT_MAIN, "code", AW_ITEM},
    {"item_cost", "{1}/{21}", IMPORT_OPTIONAL, NULL, AW_COST},
    {"price", "{1}/{21}", IMPORT_OPTIONAL, NULL, AW_PRICE},
    {.table = NULL},
};
static const struct import_target AW_LOCATION[] = {
    {"location", "supplier", 0, NULL,
     COLUMNS(LITERAL("kind", "supplier"), LITERAL("name", "AdventureWorks suppliers"))},
    {"location", "{1}", IMPORT_MAIN, NULL,
     COLUMNS(LITERAL("kind", "warehouse"), PLAIN("name", IMPORT_TIDY, "{2}"))},
    {.table = NULL},
};
/* Opening stock: what a place holds came from the suppliers, on the day that the source says. */
static const struct import_column AW_MOVE[] = {
    REFERS("item_id", "item", "{1}"),
    {"quantity_m", IMPORT_DECIMAL, "{5}", "3+", IMPORT_REQUIRED},
    REFERS("from_location_id", "location", "supplier"),
    REFERS("to_location_id", "location", "{2}"),
    REFERS("ledger_location_id", "location", "supplier"),
    LITERAL("kind", "receive"),
    {"occurred_at", IMPORT_INSTANT, "{7}", NULL, IMPORT_REQUIRED},
    {.name = NULL},
};
static const struct import_target AW_INVENTORY[] = {
    {"stock_move", "{1}/{2}", IMPORT_MAIN, NULL, AW_MOVE},
    {.table = NULL},
};
static const struct import_target AW_VENDOR[] = {
    {"party", "vendor/{1}", IMPORT_MAIN, NULL,
     COLUMNS(LITERAL("kind", "supplier"), PLAIN("name", IMPORT_TIDY, "{3}"))},
    {.table = NULL},
};
static const struct import_target AW_STORE[] = {
    {"party", "store/{1}", IMPORT_MAIN, NULL,
     COLUMNS(LITERAL("kind", "customer"), PLAIN("name", IMPORT_TIDY, "{2}"))},
    {"site", "store/{1}", 0, NULL,
     COLUMNS(REFERS("party_id", "party", "store/{1}"), PLAIN("name", IMPORT_TIDY, "{2}"))},
    {.table = NULL},
};
#define AW_FILE(file, count, rows)                                                                 \
    {                                                                                              \
        .name = file, .format = {.dialect = CSV_PLAIN}, .field_count = count, .targets = rows      \
    }
static const struct import_file AW_FILES[] = {
    AW_FILE("ProductSubcategory.csv", 5, AW_SUBCATEGORY),
    AW_FILE("Product.csv", 25, AW_PRODUCT),
    AW_FILE("Location.csv", 5, AW_LOCATION),
    AW_FILE("ProductInventory.csv", 7, AW_INVENTORY),
    AW_FILE("Vendor.csv", 8, AW_VENDOR),
    {.name = "Store.csv", .format = {.dialect = CSV_MARKED}, .field_count = 6, .targets = AW_STORE},
    {.targets = NULL},
};

/* ---- maintnorm: what technicians of two mining companies wrote, as closed calls ---- */

#define NORM_TARGETS(key, company)                                                                 \
    {"party", key, 0, NULL, COLUMNS(LITERAL("kind", "customer"), LITERAL("name", company))},       \
        {"site", key, 0, NULL,                                                                     \
         COLUMNS(REFERS("party_id", "party", key), LITERAL("name", company " mine"))},             \
        {"asset_model", key, 0, "code",                                                            \
         COLUMNS(LITERAL("code", key), LITERAL("name", "Equipment of " company),                   \
                 LITERAL("nature", "machine"))},                                                   \
        {"activity_type", "maintenance", 0, NULL,                                                  \
         COLUMNS(LITERAL("name", "Maintenance"), LITERAL("mode", "on_site"),                       \
                 PLAIN("default_min", IMPORT_INTEGER, "60"))},                                     \
        {"asset", key "/{3}", 0, NULL,                                                             \
         COLUMNS(REFERS("model_id", "asset_model", key), PLAIN("serial", IMPORT_TEXT, "{3}"),      \
                 PLAIN("serial_normalised", IMPORT_SERIAL, "{3}"), REFERS("site_id", "site", key), \
                 REFERS("owner_id", "party", key))},                                               \
        {"call", "{file}/{record}", IMPORT_MAIN, NULL,                                             \
         COLUMNS(PLAIN("number_text", IMPORT_TEXT, "{file}-{record}"),                             \
                 LITERAL("channel", "phone"), REFERS("party_id", "party", key),                    \
                 REFERS("site_id", "site", key),                                                   \
                 {"asset_id", IMPORT_REFERENCE, "[" key "/{3}]", "asset", 0},                      \
                 PLAIN("subject", IMPORT_TIDY, "{1}"), PLAIN("description", IMPORT_TIDY, "{2}"),   \
                 {"opened_at", IMPORT_NOW, "", NULL, IMPORT_ON_INSERT},                            \
                 {"state", IMPORT_TEXT, "closed", NULL, IMPORT_ON_INSERT})},                       \
        {"call_event", NULL, IMPORT_ONCE, NULL,                                                    \
         COLUMNS(REFERS("call_id", "call", "{file}/{record}"), LITERAL("kind", "answer"),          \
                 PLAIN("occurred_at", IMPORT_NOW, ""), LITERAL("by_roles", "help_desk"),           \
                 PLAIN("accepted_n", IMPORT_INTEGER, "1"))},                                       \
        {"call_event", NULL, IMPORT_ONCE, NULL,                                                    \
         COLUMNS(REFERS("call_id", "call", "{file}/{record}"), LITERAL("kind", "close"),           \
                 PLAIN("occurred_at", IMPORT_NOW, ""), LITERAL("by_roles", "help_desk"),           \
                 PLAIN("accepted_n", IMPORT_INTEGER, "2"))},                                       \
        {"activity", "{file}/{record}", 0, NULL,                                                   \
         COLUMNS(REFERS("call_id", "call", "{file}/{record}"),                                     \
                 REFERS("activity_type_id", "activity_type", "maintenance"),                       \
                 {"asset_id", IMPORT_REFERENCE, "[" key "/{3}]", "asset", 0},                      \
                 {"state", IMPORT_TEXT, "approved", NULL, IMPORT_ON_INSERT})},                     \
    {                                                                                              \
        "activity_result", "{file}/{record}", 0, NULL,                                             \
            COLUMNS(REFERS("activity_id", "activity", "{file}/{record}"),                          \
                    PLAIN("report_text", IMPORT_TEXT, "{1}"))                                      \
    }

static const struct import_target NORM_A[] = {NORM_TARGETS("company_a", "Company A"),
                                              {.table = NULL}};
static const struct import_target NORM_B[] = {NORM_TARGETS("company_b", "Company B"),
                                              {.table = NULL}};
#define NORM_FILE(file, rows)                                                                      \
    {                                                                                              \
        .name = file, .format = {.dialect = CSV_TOKENS}, .field_count = 3, .targets = rows         \
    }
static const struct import_file NORM_FILES[] = {
    NORM_FILE("company_a_train.norm", NORM_A),
    NORM_FILE("company_a_test.norm", NORM_A),
    NORM_FILE("company_a_val.norm", NORM_A),
    NORM_FILE("company_b_train.norm", NORM_B),
    NORM_FILE("company_b_test.norm", NORM_B),
    NORM_FILE("company_b_val.norm", NORM_B),
    {.targets = NULL},
};

/* ---- istat-comuni: Italian municipalities as prospects (public bodies) ---- */

static const struct import_column ISTAT_PARTY[] = {
    LITERAL("kind", "prospect"),
    PLAIN("name", IMPORT_TIDY, "Comune di {Denominazione in italiano}"),
    PLAIN("city", IMPORT_TIDY, "{Denominazione in italiano}"),
    PLAIN("province", IMPORT_TIDY, "{Sigla automobilistica}"),
    LITERAL("country", "IT"),
    LITERAL("tax_profile", "public_body"),
    {.name = NULL},
};
static const struct import_target ISTAT_TARGETS[] = {
    {"party", "{Codice Comune formato alfanumerico}", IMPORT_MAIN, NULL, ISTAT_PARTY},
    {.table = NULL},
};
static const struct import_file ISTAT_FILES[] = {
    {.help = "the list of municipalities, CSV with ;",
     .format = {.separator = ';'},
     .has_heading = true,
     .targets = ISTAT_TARGETS},
    {.targets = NULL},
};

const struct import_profile IMPORT_PROFILES[] = {
    {"nyc-elevators", "lifts of New York City: buildings, lifts, inspections", "nyc-dob", false,
     false, NYC_FILES},
    {"openrepair", "repair events of the Open Repair Alliance as closed calls", "openrepair", false,
     true, ORA_FILES},
    {"adventureworks", "parts, prices, stock, suppliers and shops of AdventureWorks (a folder)",
     "adventureworks", true, false, AW_FILES},
    {"maintnorm", "texts of maintenance work of two mining companies (a folder, or its files)",
     "maintnorm", true, true, NORM_FILES},
    {"istat-comuni", "Italian municipalities as prospects", "istat", false, false, ISTAT_FILES},
    {.name = NULL},
};

const struct import_profile *import_profile_by_name(const char *name)
{
    for (const struct import_profile *profile = IMPORT_PROFILES; profile->name != NULL; profile++)
        if (strcmp(profile->name, name) == 0)
            return profile;
    return NULL;
}
