# SPDX-License-Identifier: Apache-2.0
"""A few customers, parts and visits for tests, written into the master by plain SQL.

Every technician has a visit at SHARED_CALL, so all their devices hold that site. TRAVELLING_CALL
has one visit, of the first technician; tests give it to others. Each technician has a van."""

import time

MANAGER = "boss"
SHARED_CALL = 1
TRAVELLING_CALL = 2
SHARED_CONTACT = 1
PART, OTHER_PART = 1, 2
VISIT_BASE = 10
TRAVELLING_VISIT = 1


def found(company, technicians):
    """People and everything they work on. `technicians`: logins."""
    company.user_add(MANAGER, "manager")
    for login in technicians:
        company.user_add(login, "technician")
    users = [(login, user_id_of(company, login)) for login in technicians]
    now = int(time.time() * 1e6)
    calls = [("INSERT INTO call(id, number_text, channel, party_id, site_id, subject, opened_at,"
              " opened_by_id, state) VALUES(?,?,'phone',?,?,?,?,1,'planned')", *row, now)
             for row in CALLS]
    company.sql(*FIXED, *calls, *(statement for login, user_id in users
                                  for statement in of_technician(login, user_id)),
                (VISIT, TRAVELLING_VISIT, TRAVELLING_CALL, users[0][1]))


def user_id_of(company, login):
    return company.value("SELECT id FROM app_user WHERE login = ?", login)


def visit_of(company, login):
    """The technician's visit at SHARED_CALL."""
    return VISIT_BASE + user_id_of(company, login)


def van_of(login):
    return "Van of " + login


FIXED = (
    "INSERT INTO party(id, kind, name, city) VALUES(1, 'customer', 'Panificio Bianchi', 'Udine'),"
    " (2, 'customer', 'Northgate Dairy', 'Leeds')",
    "INSERT INTO site(id, party_id, name, access_note) VALUES(1, 1, 'Forno di via Grazzano',"
    " 'suonare due volte'), (2, 2, 'Cold store', 'ask at gate 3')",
    "INSERT INTO contact(id, party_id, site_id, name, phone) VALUES"
    " (1, 1, 1, 'Maria Bianchi', '0432 1'), (2, 2, 2, 'Tom Ward', '0113 1')",
    "INSERT INTO item(id, code, name, unit_of_measure) VALUES"
    " (1, 'P', 'Guarnizione 40 mm', 'pcs'), (2, 'Q', 'Control board', 'pcs')",
    "INSERT INTO location(id, kind, name) VALUES(1, 'warehouse', 'Depot'),"
    " (2, 'supplier', 'Suppliers'), (3, 'consumed', 'Consumed'), (4, 'loss', 'Loss'),"
    " (5, 'customer', 'Customers'), (6, 'in_transit', 'In transit')",
    "INSERT INTO activity_type(id, name, mode, default_min) VALUES(1, 'Repair', 'on_site', 60)",
)
CALLS = ((SHARED_CALL, "C2026-000001", 1, 1, "Il forno non scalda"),
         (TRAVELLING_CALL, "C2026-000002", 2, 2, "Compressor trips"))
VISIT = ("INSERT INTO activity(id, call_id, activity_type_id, technician_id, assign_version_n, state)"
         " VALUES(?,?,1,?,1,'dispatched')")


def of_technician(login, user_id):
    van = 10 + user_id
    return (
        ("INSERT INTO contact(id, party_id, site_id, name, phone) VALUES(?,1,1,?,'0')",
         10 + user_id, "Contact of " + login),
        ("INSERT INTO location(id, kind, name, holder_id) VALUES(?,'van',?,?)",
         van, van_of(login), user_id),
        ("INSERT INTO stock_move(id, item_id, quantity_m, from_location_id, to_location_id,"
         " ledger_location_id, kind, occurred_at) VALUES(?,1,1000000,1,?,?,'load',1)",
         van, van, van),
        (VISIT, VISIT_BASE + user_id, SHARED_CALL, user_id),
    )
