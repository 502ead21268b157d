#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Workload W: a deterministic field-service dataset of about 106,000 rows.

    workload.py FOLDER [--scale N] [--times N]

writes FOLDER/w.db    all rows, plain SQLite without anything of Fieldsync: the yardstick
       FOLDER/t2.json 1,000 call updates, 2,000 work logs, 1,000 part uses
       FOLDER/t3.json 200 clients with 100 changes each
       FOLDER/t4.json 500 changes of one call each

An operation is ["u", table, id, {column: value}] or ["i", table, {column: value}]. Same seed, same
rows, on every machine. --scale 20 makes a twentieth of everything, for smoke tests; --times 10 ten
times as much, a million rows.
"""
import argparse
import json
import os
import random
import sqlite3
import time

SEED = 20250101
START = 1735689600  # 2025-01-01T00:00:00Z
DAY = 86400

TABLES = {
    "customers": "id INTEGER PRIMARY KEY, name TEXT, street TEXT, city TEXT, postcode TEXT,"
                 " phone TEXT, email TEXT, contact TEXT, territory INTEGER",
    "sites": "id INTEGER PRIMARY KEY, customer_id INTEGER, name TEXT, street TEXT, city TEXT,"
             " postcode TEXT, lat REAL, lon REAL, access_notes TEXT",
    "assets": "id INTEGER PRIMARY KEY, site_id INTEGER, serial TEXT, model TEXT, maker TEXT,"
              " install_date TEXT, warranty_until TEXT, location TEXT, status TEXT",
    "calls": "id INTEGER PRIMARY KEY, site_id INTEGER, asset_id INTEGER, subject TEXT,"
             " description TEXT, status TEXT, priority INTEGER, opened_at INTEGER, due_at INTEGER,"
             " closed_at INTEGER, assigned_to INTEGER, note TEXT",
    "worklogs": "id INTEGER PRIMARY KEY, call_id INTEGER, technician INTEGER, started_at INTEGER,"
                " minutes INTEGER, note TEXT",
    "parts": "id INTEGER PRIMARY KEY, sku TEXT, name TEXT, unit TEXT, price_cents INTEGER,"
             " stock INTEGER, depot INTEGER",
    "partuse": "id INTEGER PRIMARY KEY, call_id INTEGER, part_id INTEGER, qty INTEGER,"
               " price_cents INTEGER, used_at INTEGER",
}
INDEXES = ("sites_c ON sites(customer_id)", "assets_s ON assets(site_id)",
           "calls_s ON calls(site_id)", "calls_a ON calls(asset_id)",
           "worklogs_c ON worklogs(call_id)", "partuse_c ON partuse(call_id)")

WORDS = """the of and to a in on at for with was is not after before from by no over into customer reports unit pump
valve motor filter compressor fan belt bearing seal gasket leak noise vibration pressure temperature sensor relay
breaker fuse cable connector panel board display controller inverter drive gearbox coupling shaft impeller hose
pipe flange tank boiler burner heat exchanger chiller condenser evaporator refrigerant coolant oil grease water
air flow rate drops rises trips fails stops starts runs replaced cleaned adjusted tightened lubricated inspected
checked tested measured calibrated reset restarted isolated drained refilled bled vented aligned balanced rewired
ordered waiting parts warranty quote approval access key gate code reception site manager roof basement plant
room corridor floor north south east west wing left right upper lower main spare standby emergency alarm fault
code error warning log history intermittent constant since yesterday morning afternoon evening weekend Monday
Tuesday Wednesday Thursday Friday last week again twice three times every few hours minutes shift operator noted
smell burning smoke sparks corrosion rust crack worn loose broken missing blocked dirty wet frozen overheated
visual inspection photo attached report signed contact called back next visit required return special tool
ladder lift platform two technicians needed safety lockout permit confined space hot work risk assessment done
firmware updated version parameters backup restored network gateway modem signal battery charger voltage current
ampere ohm bar degrees Celsius litres within tolerance limits nominal slightly high low normal operation
confirmed satisfied handed recommends replacement overhaul service interval contract annual quarterly monthly
door elevator conveyor scanner printer scale forklift washer dryer oven fridge freezer cabinet lamp ballast
lighting switch socket meter panelboard transformer generator exhaust duct damper actuator thermostat humidity
steam trap strainer regulator nozzle injector cylinder piston ring clutch brake pad disc wheel chain sprocket
roller guide rail bolt nut washer screw bracket mount spring cover hatch glass window frame hinge lock handle
because although while until unless should could would must can may please note that this which were has had
been still only also already soon later found caused likely probably due partial complete temporary permanent
repair bypass installed removed disconnected reconnected secured labelled documented escalated supplier vendor
delivery expected shipment tracking number invoice hours travel time overtime standby engineer apprentice""".split()
MAKERS = ("Hallberg Nordwerk Tessaro Quintal Ostmann Arvida Kelm Brandau Lindqvist Provenza Sollas "
          "Veritec").split()
KINDS = ("pump compressor chiller boiler fan inverter conveyor door elevator generator controller "
         "freezer").split()
CITIES = ("Aldenburg Brookfield Castrel Dunmere Eastvale Farnholt Grayford Hexley Ivenstadt Jarrow "
          "Kelso Lannick Morvale Norden Ostrava Pelham Quorn Ravensby Selby Thornham").split()
FIRST_NAMES = ("Anna Ben Carla David Elena Farid Greta Hugo Ines Jonas Karin Luis Maria Nils Olga "
               "Pavel Rosa Sven Tara Umar Vera Willem Yara Zoe").split()
LAST_NAMES = ("Adler Berg Castro Dahl Engel Fuchs Grant Holm Ivarsson Jensen Keller Lang Moreau "
              "Novak Olsen Peters Quist Rossi Stone Turner Urban Voss Weber Young").split()
STREETS = ("Mill Station Harbour Park Church Market Garden School Bridge Forest River Hill Lake "
           "Kings Industrial").split()
BRANCHES = ["Foods", "Logistics", "Clinic", "Hotel", "Textiles", "Retail", "Metalworks", "Housing"]
STATES = ["open", "assigned", "travelling", "on_site", "waiting_parts", "done", "closed"]
WORKLOG_COLUMNS = "id call_id technician started_at minutes note".split()
PARTUSE_COLUMNS = "id call_id part_id qty price_cents used_at".split()


class Generator:
    """Draws from one stream of random numbers; the order of draws is what makes W reproducible."""

    def __init__(self, scale, times=1):
        self.random = random.Random(SEED)
        self.customer_count = 200 * times // scale
        self.site_count = 1000 * times // scale
        self.asset_count = 10000 * times // scale
        self.call_count = 20000 * times // scale
        self.worklog_count = 40000 * times // scale
        self.part_count = 5000 * times // scale
        self.partuse_count = 30000 * times // scale
        self.opened_at = {}
        self.price_cents = {}
        self.word_weights = []
        total = 0.0
        for rank in range(len(WORDS)):  # a few words are very common, as in real notes
            total += 1.0 / (rank + 8) ** 0.9
            self.word_weights.append(total)

    def text(self, size_min, size_max):
        draw = self.random
        wanted = draw.randint(size_min, size_max)
        words = draw.choices(WORDS, cum_weights=self.word_weights, k=wanted // 4 + 4)
        chosen, size, is_sentence_start = [], 0, True
        for word in words:
            if draw.random() < 0.06:
                word = str(draw.randint(1, 999))
            if is_sentence_start:
                word, is_sentence_start = word[0].upper() + word[1:], False
            if draw.random() < 0.11:
                word, is_sentence_start = word + ".", True
            if size + len(word) + 1 > wanted and size >= size_min:
                break
            chosen.append(word)
            size += len(word) + 1
        text = " ".join(chosen)
        while len(text) < size_min:
            text += " " + draw.choice(WORDS)
        return text[:size_max]

    def address(self):
        draw = self.random
        street = "%s %s %d" % (draw.choice(STREETS), draw.choice(["Street", "Road", "Lane", "Way"]),
                               draw.randint(1, 220))
        return street, draw.choice(CITIES), "%05d" % draw.randint(10000, 99999)

    def customers(self):
        draw = self.random
        for number in range(1, self.customer_count + 1):
            street, city, postcode = self.address()
            first, last = draw.choice(FIRST_NAMES), draw.choice(LAST_NAMES)
            name = "%s %s %s" % (draw.choice(LAST_NAMES), draw.choice(BRANCHES),
                                 draw.choice(["Ltd", "GmbH", "AB", "SA"]))
            phone = "+49 %d %d" % (draw.randint(100, 999), draw.randint(1000000, 9999999))
            email = "%s.%s@example.com" % (first.lower(), last.lower())
            yield (number, name, street, city, postcode, phone, email, first + " " + last,
                   (number - 1) // 10 + 1)

    def sites(self):
        draw = self.random
        for number in range(1, self.site_count + 1):
            street, city, postcode = self.address()
            yield (number, (number - 1) // 5 + 1, "%s site %d" % (city, number), street, city,
                   postcode, round(draw.uniform(47, 55), 6), round(draw.uniform(6, 15), 6),
                   self.text(20, 120))

    def assets(self):
        draw = self.random
        models = ["%s-%s%d" % (draw.choice("ABCDEFGHKLMNPRSTX"), draw.choice("ACDEX"),
                               draw.randint(100, 9900)) for _ in range(240)]
        for number in range(1, self.asset_count + 1):
            installed = START - draw.randint(0, 3650) * DAY
            model = draw.randrange(240)
            serial = "%s%010d" % (draw.choice("ABCDEFGH"), draw.randrange(10 ** 10))
            warranty = installed + draw.choice([2, 3, 5]) * 365 * DAY
            place = "%s %s %d" % (draw.choice(["roof", "basement", "plant room", "hall", "floor",
                                               "wing"]),
                                  draw.choice(["north", "south", "east", "west"]),
                                  draw.randint(1, 40))
            yield (number, (number - 1) // 10 + 1, serial, models[model] + " " + KINDS[model % 12],
                   MAKERS[model % 12], day(installed), day(warranty), place,
                   draw.choice(["ok", "ok", "ok", "degraded", "down"]))

    def calls(self):
        draw = self.random
        for number in range(1, self.call_count + 1):
            asset = draw.randint(1, self.asset_count)
            opened = START + draw.randint(0, DAY * 300)
            state = draw.choice(STATES)
            self.opened_at[number] = opened
            yield (number, (asset - 1) // 10 + 1, asset, self.text(18, 60).rstrip("."),
                   self.text(80, 300), state, draw.randint(1, 5), opened,
                   opened + draw.choice([4, 8, 24, 72]) * 3600,
                   opened + draw.randint(3600, 400000) if state in ("done", "closed") else None,
                   draw.randint(1, 200), self.text(20, 80) if draw.random() < 0.5 else None)

    def worklog(self, number, call):
        draw = self.random
        return (number, call, draw.randint(1, 200), self.opened_at[call] + draw.randint(600, 400000),
                draw.choice([15, 30, 45, 60, 75, 90, 120]) if draw.random() < .7
                else draw.randint(5, 300), self.text(40, 160))

    def worklogs(self):
        for number in range(1, self.worklog_count + 1):
            yield self.worklog(number, self.random.randint(1, self.call_count))

    def parts(self):
        draw = self.random
        for number in range(1, self.part_count + 1):
            self.price_cents[number] = draw.randint(50, 90000)
            yield (number,
                   "%s-%05d-%s" % (draw.choice("PQRS"), draw.randrange(100000), draw.choice("ABCD")),
                   "%s %s %s" % (draw.choice(KINDS), draw.choice(WORDS[22:140]),
                                 draw.choice(["kit", "assembly", "small", "large", "seal", "set"])),
                   draw.choice(["pc", "m", "l", "set"]), self.price_cents[number],
                   draw.randint(0, 400), (number - 1) // 250 + 1)

    def partuse(self, number, call):
        draw = self.random
        part = draw.randint(1, self.part_count)
        return (number, call, part, draw.choice([1, 1, 1, 2, 3, 4, 10]), self.price_cents[part],
                self.opened_at[call] + draw.randint(600, 400000))

    def partuses(self):
        for number in range(1, self.partuse_count + 1):
            yield self.partuse(number, self.random.randint(1, self.call_count))

    def update(self, call):
        return ["u", "calls", call, {"status": self.random.choice(STATES),
                                     "note": self.text(60, 160)}]

    def batch(self, replica, calls, worklog_count, partuse_count):
        first = replica << 32
        operations = [self.update(call) for call in calls]
        for number in range(first + 1, first + worklog_count + 1):
            row = self.worklog(number, self.random.choice(calls))
            operations.append(["i", "worklogs", dict(zip(WORKLOG_COLUMNS, row))])
        for number in range(first + 1, first + partuse_count + 1):
            row = self.partuse(number, self.random.choice(calls))
            operations.append(["i", "partuse", dict(zip(PARTUSE_COLUMNS, row))])
        return operations


def day(seconds):
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def write_json(folder, name, content):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(content, file, separators=(",", ":"))


def write_database(path, generator):
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.remove(path + suffix)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA page_size=4096")
    for name, columns in TABLES.items():
        database.execute("CREATE TABLE %s(%s)" % (name, columns))
    database.execute("BEGIN")
    count = 0
    for name, rows in (("customers", generator.customers()), ("sites", generator.sites()),
                       ("assets", generator.assets()), ("calls", generator.calls()),
                       ("worklogs", generator.worklogs()), ("parts", generator.parts()),
                       ("partuse", generator.partuses())):
        rows = list(rows)
        database.executemany("INSERT INTO %s VALUES(%s)" % (name, ",".join("?" * len(rows[0]))),
                             rows)
        count += len(rows)
    database.execute("COMMIT")
    for index in INDEXES:
        database.execute("CREATE INDEX " + index)
    database.execute("VACUUM")
    database.close()
    return count


def main():
    parser = argparse.ArgumentParser(description="Writes workload W and the batches for it.")
    parser.add_argument("folder")
    parser.add_argument("--scale", type=int, default=1, choices=(1, 2, 5, 10, 20, 50),
                        help="divide all counts by N (default 1)")
    parser.add_argument("--times", type=int, default=1, help="multiply all counts by N")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    generator = Generator(options.scale, options.times)
    path = os.path.join(options.folder, "w.db")
    count = write_database(path, generator)
    calls = list(range(1, generator.call_count + 1))
    generator.random.shuffle(calls)
    scale = options.scale
    write_json(options.folder, "t2.json", generator.batch(1000, calls[:1000 // scale],
                                                          2000 // scale, 1000 // scale))
    clients = 200 // scale
    first = 1000 // scale
    write_json(options.folder, "t3.json",
               [generator.batch(1 + k, calls[first + 40 * k:first + 40 + 40 * k], 40, 20)
                for k in range(clients if scale == 1 else min(clients, 5))])
    first = 9000 // scale
    write_json(options.folder, "t4.json",
               [generator.update(call) for call in calls[first:first + 500 // scale]])
    print("%d rows, %d bytes" % (count, os.path.getsize(path)))


if __name__ == "__main__":
    main()
