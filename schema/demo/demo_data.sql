/* SPDX-License-Identifier: Apache-2.0 */
-- A small service company around Florence, made up for the demo and the tests: six customers, eight
-- sites, eleven machines, ten parts, three technicians, two vans. Plain SQL on the master, as any
-- program could write it; the people (mario, luca, ...) are there already. `fieldsync-server demo`
-- loads it, and so does the day that ./dev demo plays.

INSERT INTO calendar (id, name, time_zone) VALUES (1001, 'Ufficio lun-ven 8-18', 'Europe/Rome');
INSERT INTO calendar_hours (id, calendar_id, weekday_n, from_min, to_min) VALUES
    (1011, 1001, 1, 480, 1080), (1012, 1001, 2, 480, 1080), (1013, 1001, 3, 480, 1080),
    (1014, 1001, 4, 480, 1080), (1015, 1001, 5, 480, 1080);
INSERT INTO holiday (id, calendar_id, day_d, name) VALUES
    (1021, 1001, '2026-12-08', 'Immacolata'), (1022, 1001, '2026-12-25', 'Natale'),
    (1023, 1001, '2026-12-26', 'Santo Stefano'), (1024, 1001, '2027-01-01', 'Capodanno');
INSERT INTO sla (id, name, calendar_id, respond_min, onsite_min, restore_min) VALUES
    (1031, 'Gold: on site within 4 business hours', 1001, 30, 240, 480),
    (1032, 'Standard: next business day', 1001, 120, 600, NULL);
INSERT INTO time_band (id, name, weekday_mask_n, from_min, to_min, holiday_rule, priority_n) VALUES
    (1041, 'Sunday and holidays', 64, 0, 1440, 'any', 1),
    (1042, 'evening', 31, 1080, 1440, 'never', 2),
    (1043, 'ordinary', 31, 0, 1080, 'never', 3);
INSERT INTO vat (id, code, rate_bp, nature, note) VALUES
    (1051, '22', 2200, NULL, 'ordinaria'), (1052, '10', 1000, NULL, 'ridotta'),
    (1053, 'N6.3', 0, 'N6.3', 'inversione contabile, subappalto');
INSERT INTO activity_type (id, name, mode, is_billable, default_min) VALUES
    (1061, 'Visit', 'on_site', 1, 90), (1062, 'Phone support', 'phone', 1, 15),
    (1063, 'Workshop', 'workshop', 1, 120);

INSERT INTO checklist (id, name, version_n) VALUES (1071, 'Refrigeration plant, visit', 1);
INSERT INTO checklist_item (id, checklist_id, position_n, text, kind, is_required, unit) VALUES
    (1081, 1071, 1, 'Suction pressure', 'number', 1, 'bar'),
    (1082, 1071, 2, 'Discharge pressure', 'number', 1, 'bar'),
    (1083, 1071, 3, 'Traces of oil around the compressor?', 'yes_no', 1, NULL),
    (1084, 1071, 4, 'Guards back in place and closed?', 'yes_no', 1, NULL);

INSERT INTO party (id, kind, name, street, city, post_code, province, country, vat_number,
                   sdi_code) VALUES
    (1101, 'customer', 'Panificio Bellini S.r.l.', 'Via dei Forni 12', 'Sesto Fiorentino', '50019',
     'FI', 'IT', 'IT00000010108', 'M5UXCR1'),
    (1102, 'customer', 'Northgate Cold Storage Ltd', '4 Harbour Road', 'Livorno', '57123', 'LI',
     'IT', 'IT00000020107', 'T04ZHR3'),
    (1103, 'customer', 'Cantina Valdombra soc. agr.', 'Strada del Chianti 88', 'Greve in Chianti',
     '50022', 'FI', 'IT', 'IT00000030106', 'KRRH6B9'),
    (1104, 'customer', 'Comune di Pontelungo', 'Piazza della Repubblica 1', 'Pontelungo', '50065',
     'FI', 'IT', NULL, 'UFABC1'),
    (1105, 'customer', 'Hotel Miralago', 'Lungolago 3', 'Passignano', '06065', 'PG', 'IT',
     'IT00000050104', 'SUBM70N'),
    (1106, 'supplier', 'Ricambi Frigo Toscana S.p.A.', 'Via Pratese 210', 'Firenze', '50145', 'FI',
     'IT', 'IT00000060103', NULL);
UPDATE party SET tax_profile = 'public_body', is_split_payment = 1 WHERE id = 1104;

INSERT INTO site (id, party_id, name, street, city, post_code, province, country, territory,
                  lat_e7, lon_e7, base_km_m, access_note) VALUES
    (1201, 1101, 'Laboratorio Sesto', 'Via dei Forni 12', 'Sesto Fiorentino', '50019', 'FI', 'IT',
     'nord', 438349000, 111999000, 42000, 'citofono 2, chiedere del capoforno'),
    (1202, 1101, 'Punto vendita Novoli', 'Via di Novoli 61', 'Firenze', '50127', 'FI', 'IT', 'nord',
     437935000, 112213000, 6000, NULL),
    (1203, 1102, 'Quayside store 4', '4 Harbour Road', 'Livorno', '57123', 'LI', 'IT', 'costa',
     435507000, 103000000, 95000, 'gate B, hard hat, sign in at the weighbridge'),
    (1204, 1102, 'Inland store', 'Via Aurelia 300', 'Collesalvetti', '57014', 'LI', 'IT', 'costa',
     435903000, 104789000, 88000, NULL),
    (1205, 1103, 'Cantina', 'Strada del Chianti 88', 'Greve in Chianti', '50022', 'FI', 'IT', 'sud',
     435840000, 113170000, 31000, 'strada bianca, ultimo km'),
    (1206, 1104, 'Scuola Carducci', 'Via delle Scuole 5', 'Pontelungo', '50065', 'FI', 'IT', 'sud',
     437780000, 114360000, 18000, 'chiavi in portineria, dopo le 14'),
    (1207, 1104, 'Palestra comunale', 'Via dello Sport 2', 'Pontelungo', '50065', 'FI', 'IT', 'sud',
     437800000, 114400000, 19000, NULL),
    (1208, 1105, 'Hotel, cucina', 'Lungolago 3', 'Passignano', '06065', 'PG', 'IT', 'sud',
     431880000, 121370000, 120000, 'delivery door on the left side');

INSERT INTO contact (id, party_id, site_id, name, phone, email, role) VALUES
    (1301, 1101, 1201, 'Carla Bellini', '+39 055 000 1001', 'carla@bellini.example', 'titolare'),
    (1302, 1102, 1203, 'Tom Harding', '+39 0586 000 200', 'tom@northgate.example', 'store manager'),
    (1303, 1103, 1205, 'Piero Landi', '+39 055 000 1003', NULL, 'cantiniere'),
    (1304, 1104, NULL, 'Ufficio tecnico', '+39 055 000 1004', 'tecnico@pontelungo.example', NULL),
    (1305, 1105, 1208, 'Sofia Marchetti', '+39 075 000 1005', NULL, 'chef');

INSERT INTO item (id, code, name, unit_of_measure, category, is_serialised, barcode) VALUES
    (1401, 'FILTER-10', 'Dryer filter 10 mm', 'pcs', 'consumable', 0, '8000000000017'),
    (1402, 'BOARD-Q', 'Control board Q series', 'pcs', 'electronics', 0, '8000000000024'),
    (1403, 'FAN-300', 'Fan motor 300 mm', 'pcs', 'mechanics', 0, '8000000000031'),
    (1404, 'GAS-R290', 'Refrigerant R290', 'kg', 'consumable', 0, NULL),
    (1405, 'PROBE-NTC', 'Sonda NTC 10k', 'pcs', 'electronics', 0, '8000000000048'),
    (1406, 'RELAY-24', 'Relè 24 V', 'pcs', 'electronics', 0, '8000000000055'),
    (1407, 'SEAL-DOOR', 'Guarnizione porta cella', 'm', 'mechanics', 0, NULL),
    (1408, 'PUMP-C2', 'Condensate pump C2', 'pcs', 'mechanics', 0, '8000000000062'),
    (1409, 'VALVE-EX', 'Expansion valve', 'pcs', 'mechanics', 0, '8000000000079'),
    (1410, 'COMP-H4', 'Compressor H4', 'pcs', 'mechanics', 1, '8000000000086');
INSERT INTO price_list (id, name) VALUES (1501, 'Listino 2026');
INSERT INTO price (id, list_id, item_id, from_d, price_e4) VALUES
    (1511, 1501, 1401, '2026-01-01', 184000), (1512, 1501, 1402, '2026-01-01', 899000),
    (1513, 1501, 1403, '2026-01-01', 1460000), (1514, 1501, 1404, '2026-01-01', 420000),
    (1515, 1501, 1405, '2026-01-01', 125000), (1516, 1501, 1406, '2026-01-01', 98000),
    (1517, 1501, 1407, '2026-01-01', 76000), (1518, 1501, 1408, '2026-01-01', 1120000),
    (1519, 1501, 1409, '2026-01-01', 680000), (1520, 1501, 1410, '2026-01-01', 7400000);
INSERT INTO item_cost (id, item_id, from_d, cost_e4) VALUES
    (1531, 1401, '2026-01-01', 91000), (1532, 1402, '2026-01-01', 614000);
INSERT INTO rate (id, activity_type_id, time_band_id, from_d, hour_e4, step_min, floor_min,
                  callout_cents, callout_per, km_e4, free_km_m) VALUES
    (1541, 1061, NULL, '2026-01-01', 480000, 15, 60, 3500, 'visit', 5500, 20000),
    (1542, 1061, 1042, '2026-01-01', 600000, 15, 60, 3500, 'visit', 5500, 20000),
    (1543, 1061, 1041, '2026-01-01', 960000, 15, 60, 3500, 'visit', 5500, 20000),
    (1544, 1062, NULL, '2026-01-01', 420000, 15, 30, 0, 'visit', 0, 0);

INSERT INTO asset_model (id, code, name, nature, maker, category, warranty_parts_months_n,
                         warranty_labour_months_n) VALUES
    (1601, 'FORNO-R6', 'Rotary oven R6', 'machine', 'Officine Tosi', 'bakery', 24, 24),
    (1602, 'CELLA-40', 'Cold room 40 m3', 'plant', 'Nordfrigo', 'refrigeration', 24, 12),
    (1603, 'CHILL-8', 'Must chiller 8 kW', 'machine', 'Nordfrigo', 'refrigeration', 24, 24),
    (1604, 'CALDAIA-90', 'Boiler 90 kW', 'machine', 'Termoval', 'heating', 24, 24);
INSERT INTO asset (id, model_id, serial, serial_normalised, site_id, owner_id, position,
                   installed_d) VALUES
    (1701, 1602, 'NF40-22-0117', 'NF40220117', 1201, 1101, 'cella lieviti', '2022-04-06'),
    (1702, 1601, 'R6/20931', 'R620931', 1201, 1101, 'forno 1', '2019-09-30'),
    (1703, 1601, 'R6/20977', 'R620977', 1202, 1101, 'retro', '2020-02-11'),
    (1704, 1602, 'NF40-24-0009', 'NF40240009', 1203, 1102, 'cell 4, sea side', '2024-11-20'),
    (1705, 1602, 'NF40-24-0010', 'NF40240010', 1203, 1102, 'cell 5', '2024-11-20'),
    (1706, 1602, 'NF40-19-0311', 'NF40190311', 1204, 1102, 'cell 1', '2019-05-14'),
    (1707, 1603, 'CH8-1182', 'CH81182', 1205, 1103, 'tinaia', '2021-08-02'),
    (1708, 1604, 'TV90-5501', 'TV905501', 1206, 1104, 'centrale termica', '2018-10-01'),
    (1709, 1604, 'TV90-5534', 'TV905534', 1207, 1104, 'locale caldaia', '2018-10-08'),
    (1710, 1602, 'NF40-23-0201', 'NF40230201', 1208, 1105, 'cucina', '2023-03-15'),
    (1711, 1601, 'R6/21450', 'R621450', 1208, 1105, 'pasticceria', '2023-03-15');
INSERT INTO warranty (id, asset_id, origin, from_d, to_d) VALUES
    (1751, 1704, 'sale', '2024-11-20', '2026-11-19'),
    (1752, 1705, 'sale', '2024-11-20', '2026-11-19');

INSERT INTO coverage (id, name) VALUES
    (1801, 'Manodopera ordinaria inclusa, ricambi 50 % fino a 150 euro a visita');
INSERT INTO coverage_rule (id, coverage_id, charge_kind, time_band_id, covered_bp, cap_cents,
                           cap_per) VALUES
    (1811, 1801, 'labour', 1043, 10000, NULL, NULL),
    (1812, 1801, 'part', NULL, 5000, 15000, 'visit');
INSERT INTO contract (id, number_text, party_id, site_id, name, state, start_d, end_d, renew_mode,
                      renew_months_n, notice_days_n, sla_id) VALUES
    (1821, 'M2026-0007', 1101, 1201, 'Assistenza celle e forni', 'active', '2026-01-01',
     '2028-12-31', 'auto', 12, 90, 1031),
    (1822, 'M2025-0031', 1104, NULL, 'Conduzione impianti termici comunali', 'active', '2025-10-01',
     '2027-09-30', 'manual', NULL, 90, 1032);
INSERT INTO contract_line (id, contract_id, kind, name, period_months_n, anchor_n, start_d) VALUES
    (1831, 1821, 'fee', 'Canone annuo', 12, 1, '2026-01-01'),
    (1832, 1822, 'fee', 'Canone trimestrale', 3, 1, '2025-10-01');
INSERT INTO contract_fee (id, line_id, party_id, from_d, fee_cents, vat_id) VALUES
    (1841, 1831, 1101, '2026-01-01', 100000, 1051), (1842, 1832, 1104, '2025-10-01', 25000, 1051);
INSERT INTO contract_asset (id, contract_id, asset_id, from_d, coverage_id) VALUES
    (1851, 1821, 1701, '2026-01-01', 1801), (1852, 1821, 1702, '2026-01-01', 1801),
    (1853, 1822, 1708, '2025-10-01', 1801), (1854, 1822, 1709, '2025-10-01', 1801);

INSERT INTO location (id, kind, name, holder_id) VALUES
    (1901, 'warehouse', 'Magazzino Calenzano', NULL),
    (1902, 'van', 'Van 1', (SELECT id FROM app_user WHERE login = 'mario')),
    (1903, 'van', 'Van 2', (SELECT id FROM app_user WHERE login = 'luca')),
    (1904, 'supplier', 'Supplier', NULL);
INSERT INTO stock_move (id, item_id, quantity_m, from_location_id, to_location_id,
                        ledger_location_id, kind, occurred_at) VALUES
    (1951, 1401, 60000, 1904, 1901, 1904, 'receive', 1767600000000000),
    (1952, 1402, 20000, 1904, 1901, 1904, 'receive', 1767600000000000),
    (1953, 1403, 6000, 1904, 1901, 1904, 'receive', 1767600000000000),
    (1954, 1404, 25000, 1904, 1901, 1904, 'receive', 1767600000000000),
    (1955, 1405, 40000, 1904, 1901, 1904, 'receive', 1767600000000000),
    (1956, 1401, 12000, 1901, 1902, 1902, 'load', 1767686400000000),
    (1957, 1402, 4000, 1901, 1902, 1902, 'load', 1767686400000000),
    (1958, 1401, 10000, 1901, 1903, 1903, 'load', 1767686400000000),
    (1959, 1405, 8000, 1901, 1903, 1903, 'load', 1767686400000000);

INSERT INTO kb_article (id, number_text, title, problem, solution, asset_model_id, state) VALUES
    (1971, 'KB-0012', 'Cold room: E4 after a power cut',
     'The controller shows E4 and the compressor stays off after the power came back.',
     'Hold SET for 8 s. If E4 returns within an hour change the board (BOARD-Q).', 1602,
     'published');
