"""Writes the demo city: unit grids, map layers, fences and devices, the same every time.

Run it in this folder: `python3 make_city.py`. The district is invented: its borders, roads, waters and
names stand for no real place. Devices depend on the seed and on this file only; a change of either
changes secrets and places, so that an old data folder is best deleted.
"""

import hashlib
import json
import math
import random

SEED = 20261122
CENTRE = (118.0894, 24.4798)
METRES = (111_320.0 * math.cos(math.radians(CENTRE[1])), 110_750.0)
COLUMNS, ROWS, CELL = 8, 6, 500.0
DISTRICT = "350203"

# Toys and stationery: no road, river or quarter of a real city is meant.
STREETS = ["纸鸢", "风铃", "积木", "萤火"]
ACROSS = ["算盘路", "折扇路", "陶笛路", "陀螺路", "毽子路", "口琴路", "砚台路"]
UP = ["铅笔街", "橡皮街", "墨盒街", "蜡笔街", "圆规街", "书签街", "信封街", "邮戳街", "卷尺街"]
ESTATES = ["竹马", "灯笼", "弹珠", "沙包", "皮影", "木偶", "风车", "泥哨", "跳绳", "滚环",
           "拼图", "万花筒", "铁环", "糖画", "布偶", "纸船", "哨子", "响板", "手鼓", "竹笛"]
# Numbers of places; the rest of the 48 cells stays without.
STATIONS, SITES, QUIET, FENCES, BIKES = 24, 16, 28, 36, 102
TRUCKS, CAMERAS, OUTFALLS = 12, 9, 4

rng = random.Random(SEED)


def between(low, high):
    return low + (high - low) * rng.random()


def pick(items):
    return items[int(rng.random() * len(items))]


def shuffled(items):
    keyed = [(rng.random(), item) for item in items]
    return [item for _, item in sorted(keyed)]


def degrees(point):
    """Metres east and north of the district's south-west corner, as longitude and latitude."""
    east = point[0] - COLUMNS * CELL / 2
    north = point[1] - ROWS * CELL / 2
    return [round(CENTRE[0] + east / METRES[0], 6), round(CENTRE[1] + north / METRES[1], 6)]


def node(i, j):
    """A crossing of two roads: a bent lattice, so that no two blocks are alike."""
    local = random.Random(SEED * 1000 + i * 100 + j)
    bend = 70 * math.sin(j * 0.9 + 0.4) + 40 * math.sin(i * 0.7)
    lift = 80 * math.sin(i * 0.75 + 0.2) + 30 * math.cos(j * 1.1)
    return (i * CELL + bend + 50 * (local.random() - 0.5), j * CELL + lift + 50 * (local.random() - 0.5))


def inside(i, j, u, v):
    """A place in a cell: `u` from its west to its east side, `v` from south to north."""
    (ax, ay), (bx, by) = node(i, j), node(i + 1, j)
    (cx, cy), (dx, dy) = node(i, j + 1), node(i + 1, j + 1)
    return (
        (ax * (1 - u) + bx * u) * (1 - v) + (cx * (1 - u) + dx * u) * v,
        (ay * (1 - u) + by * u) * (1 - v) + (cy * (1 - u) + dy * u) * v,
    )


def river(x):
    """The middle line of the river, as northing over easting."""
    return 2150 - 0.27 * x + 130 * math.sin(x / 520.0)


LAKE = (3050.0, 2360.0, 190.0, 120.0)


def dry(point, margin):
    x, y, wide, high = LAKE
    away = math.hypot((point[0] - x) / (wide + margin), (point[1] - y) / (high + margin))
    return abs(point[1] - river(point[0])) > 45 + margin and away > 1


taken = []


def dry_place(i, j, margin=25.0):
    """A place in a cell that is neither water nor another one's ground."""
    for _ in range(500):
        point = inside(i, j, between(0.16, 0.84), between(0.16, 0.84))
        if dry(point, margin) and all(math.dist(point, other) > margin + room for other, room in taken):
            taken.append((point, margin))
            return point
    raise SystemExit(f"no room in cell {i},{j}")


def feature(properties, kind, coordinates):
    return {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}


def write(name, features):
    lines = [json.dumps(f, ensure_ascii=False, separators=(",", ":")) for f in features]
    with open(name, "w", encoding="utf-8") as out:
        out.write('{"type":"FeatureCollection","features":[\n' + ",\n".join(lines) + "\n]}\n")


def ring(points):
    return [degrees(p) for p in points] + [degrees(points[0])]


def box(middle, wide, high, turn):
    cos, sin = math.cos(turn), math.sin(turn)
    corners = [(-wide, -high), (wide, -high), (wide, high), (-wide, high)]
    return ring([(middle[0] + (x * cos - y * sin) / 2, middle[1] + (x * sin + y * cos) / 2) for x, y in corners])


def quarter(i, j):
    return (j // 3) * 2 + i // 4


def grid_code(i, j):
    """15 digits: district 6, street 3, community 3, unit grid 3."""
    column, row = i % 4, j % 3
    community = column // 2
    return f"{DISTRICT}{quarter(i, j) + 1:03}{community + 1:03}{row * 2 + column % 2 + 1:03}"


def grids():
    features = []
    for j in range(ROWS):
        for i in range(COLUMNS):
            code = grid_code(i, j)
            street = STREETS[quarter(i, j)]
            community = "第一" if code[9:12] == "001" else "第二"
            corners = [node(i, j), node(i + 1, j), node(i + 1, j + 1), node(i, j + 1)]
            features.append(feature({
                "code": code,
                "name": f"{street}{community}社区{code[12:]}网格",
                "street": f"{street}街道",
                "community": f"{street}{community}社区",
            }, "Polygon", [ring(corners)]))
    write("grid.geojson", features)


def boundaries():
    features = []
    for number, street in enumerate(STREETS):
        west, south = (number % 2) * 4, (number // 2) * 3
        line = [node(west + k, south) for k in range(4)]
        line += [node(west + 4, south + k) for k in range(3)]
        line += [node(west + 4 - k, south + 3) for k in range(4)]
        line += [node(west, south + 3 - k) for k in range(3)]
        features.append(feature({"code": f"{DISTRICT}{number + 1:03}", "name": f"{street}街道"}, "Polygon", [ring(line)]))
    write("map/streets.geojson", features)


def roads():
    features = []
    for j, name in enumerate(ACROSS):
        line = [degrees(node(i, j)) for i in range(COLUMNS + 1)]
        features.append(feature({"name": name, "class": "main" if j % 2 else "side"}, "LineString", line))
    for i, name in enumerate(UP):
        line = [degrees(node(i, j)) for j in range(ROWS + 1)]
        features.append(feature({"name": name, "class": "side" if i % 2 else "main"}, "LineString", line))
    for j in range(ROWS):
        for i in range(COLUMNS):
            at = between(0.35, 0.65)
            ends = [(at, 0), (at, 1)] if (i + j) % 2 else [(0, at), (1, at)]
            line = [degrees(inside(i, j, u, v)) for u, v in ends]
            features.append(feature({"name": "", "class": "lane"}, "LineString", line))
    write("map/roads.geojson", features)


def waters():
    xs = [-150 + 150 * k for k in range(30)]
    banks = [(x, river(x) + 40) for x in xs] + [(x, river(x) - 40) for x in reversed(xs)]
    x, y, wide, high = LAKE
    shore = [(x + wide * math.cos(t * math.pi / 12), y + high * math.sin(t * math.pi / 12)) for t in range(24)]
    write("map/water.geojson", [
        feature({"name": "砚水河"}, "Polygon", [ring(banks)]),
        feature({"name": "墨点湖"}, "Polygon", [ring(shore)]),
    ])


class City:
    """What stands in the city: buildings, fences and devices."""

    def __init__(self):
        self.devices, self.sites, self.fences, self.counts = [], [], [], {}

    def device(self, kind, short, name, site, place, protocol="", called="", secret=True, **more):
        """`called` is the name in the protocol: which identity, and the name with {n} for the number."""
        number = self.counts[short] = self.counts.get(short, 0) + 1
        ident = f"{short}-{number:04}"
        classes = {"gas": "0135", "smoke": "0113", "noise": "0602", "dust": "0602", "fence": "0212", "cam": "0136"}
        lon, lat = degrees(place)
        row = {
            "id": ident, "kind": kind, "name": name, "site": site, "lon": lon, "lat": lat, "datum": "WGS84",
            "secret": hashlib.sha256(f"demo/{ident}".encode()).hexdigest()[:32] if secret else "",
        }
        if protocol:
            row["protocol"] = protocol
        if called:
            identity, pattern = called.split("=")
            row[f"identities.{identity}"] = pattern.format(n=number)
        if short in classes:
            row["component_code"] = f"{DISTRICT}{classes[short]}{number:06}"
        self.devices.append(row | more)
        return ident

    def near(self, place, reach=18.0):
        turn, away = between(0, 2 * math.pi), between(0.3, 1.0) * reach
        return (place[0] + away * math.cos(turn), place[1] + away * math.sin(turn))

    def building(self, what, name, boxes):
        self.sites.append(feature({"name": name, "kind": what}, "MultiPolygon", [[b] for b in boxes]))


def station(city, number, cell):
    name = f"{ACROSS[cell[1]]}{number + 1}号调压站"
    place = dry_place(*cell)
    city.building("gas_station", name, [box(place, 26, 18, between(0, 0.4))])
    # Three stations have sensors by radio, and the gateway stands for their network server.
    radio = {5: ("chirpstack", "dev_eui=f0f0{n:012x}"), 9: ("tts", "tts_device=gas/gas-{n:04}"), 13: ("thingsboard", "")}
    protocol, heard_as = radio.get(number, ("mqtt5" if number % 2 else "mqtt", ""))
    gateway = city.device("gateway", "gw", f"{name}网关", name, city.near(place, 6), cadence_s=10, protocol=protocol)
    third = "high" if number % 6 == 5 else "low"
    # Every fourth station has terminals with batteries beside its gateway, every eighth registers that are asked.
    own = {
        0: ("coap", ""), 2: ("coap-cbor", ""),
        3: ("pressure", "pressure_frame=SHSM{n:08}"), 6: ("pressure-udp", "pressure_frame=SHSM{n:08}"), 7: ("modbus-tcp", "modbus=modbus/{n}"),
    }
    for point, kind in enumerate(["medium", "low", third], 1):
        protocol, called = own.get(number % 8, ("", heard_as)) if point == 2 else ("", heard_as)
        more = {} if protocol else {"parent": gateway}
        if protocol == "modbus-tcp":
            more["profile"] = "transmitter"
        city.device("gas_pressure", "gas", f"{name}测点{point}", name, city.near(place, 9), protocol=protocol, called=called, cadence_s=10, pressure=kind, **more)


def estate(city, number, cell):
    name = f"{ESTATES[number]}小区"
    place = dry_place(*cell, margin=70.0)
    turn = between(-0.3, 0.3)
    houses = [(place[0] + x, place[1] + y) for x in (-48, 0, 48) for y in (-26, 26)]
    houses = [h for h in houses if dry(h, 12)]
    city.building("estate", name, [box(h, 34, 15, turn) for h in houses])
    # Every fourth estate has a user transmission device (用户信息传输装置), whose detectors are its components.
    panel = number % 4 == 2
    if panel:
        gateway = city.device("gateway", "gw", f"{name}用传", name, city.near(place, 6), cadence_s=10, protocol="gb26875", called="gb26875=0f0000{n:06x}")
    else:
        gateway = city.device("gateway", "gw", f"{name}网关", name, city.near(place, 6), cadence_s=10, protocol="mqtt" if number % 2 else "mqtt5")
    for flat in range(7 + number % 2):
        house = houses[flat % len(houses)]
        where = f"{flat % len(houses) + 1}栋{flat // len(houses) + 1}单元"
        place = city.near(house, 7)
        if number % 4 == 3 and flat == 7:
            # The porter's detector has a modem of its own.
            own = ["ctwing=c0ffee00{n:08x}", "onenet=city/smoke-{n:04}", "oceanconnect=0c0c0000-{n:04x}", "gb26875=0f0001{n:06x}"][number // 4 % 4]
            protocol = own.split("=")[0].replace("gb26875", "gb26875-udp")
            city.device("smoke", "smoke", f"{name}门卫烟感", name, place, protocol=protocol, called=own, cadence_s=20)
            continue
        called = f"gb26875=0f0000{int(gateway[3:]):06x}/1.1.40.{flat + 1:02x}000000" if panel else ""
        city.device("smoke", "smoke", f"{name}{where}烟感", name, place, called=called, parent=gateway, cadence_s=20)


def building_site(city, number, cell):
    name = f"{UP[cell[0]]}{number + 1}号工地"
    place = dry_place(*cell, margin=60.0)
    city.building("building_site", name, [box(place, 95, 70, between(-0.4, 0.4))])
    noise = {"protocol": "mqtt"}
    dust = {"protocol": "http"}
    if number % 2 == 0:
        noise = {"protocol": "hj212", "called": "hj212_mn=0F0000000000000000{n:06}", "secret": False}
        dust = {"protocol": "hj212", "called": "hj212_mn=0F0000000000000001{n:06}", "secret": False}
    elif number % 8 == 1:
        dtu = city.device("gateway", "gw", f"{name}DTU", name, city.near(place, 40), protocol="modbus-dtu", called="dtu=SIM-DTU-{n:04}", cadence_s=15)
        noise = {"called": f"modbus={dtu}/1", "parent": dtu}
        dust = {"called": f"modbus={dtu}/2", "parent": dtu, "profile": "station"}
    city.device("noise", "noise", f"{name}噪声仪", name, city.near(place, 40), cadence_s=15, zone="construction", **noise)
    # A station behind a DTU has no sensor for TSP, on which the rule is.
    rule = {} if "parent" in dust else {"dust_rule": "liaoning", "area": "urban"}
    city.device("dust", "dust", f"{name}扬尘仪", name, city.near(place, 40), cadence_s=15, **rule, **dust)
    if number < CAMERAS:
        protocol, called = [
            ("gb28181", "gb28181=35020000001320{n:06}"), ("gb28181-tcp", "gb28181=35020000001320{n:06}"),
            ("rtsp", "rtsp=rtsp://127.0.0.1:8554/cam-{n:04}"),
        ][number % 3]
        city.device("camera", "cam", f"{name}视频探头", name, city.near(place, 40), protocol=protocol, called=called, cadence_s=30)
    if number < TRUCKS:
        # Terminals of both editions: numbers of 12 digits and of 20.
        called = "jt808=1{n:011}" if number % 2 else "jt808=1{n:019}"
        city.device("truck", "truck", f"渣土车{number + 1:02}", name, city.near(place, 40), protocol="jt808", called=called, cadence_s=15)


def quiet_places(city, cells):
    """Noise meters of the city's zones, and weather with dust beside eight of them."""
    for number in range(QUIET):
        i, j = cells[number % len(cells)]
        zone = ["1", "2", "2", "4a"][number % 4]
        if zone == "4a":
            place, name = inside(i, j, 0.02, 0.5), f"{UP[i]}路边{number + 1}号点"
            place = place if dry(place, 5) else inside(i, j, 0.02, 0.05)
        else:
            place, name = dry_place(i, j), f"{STREETS[quarter(i, j)]}街道{number + 1}号点"
        formats = {6: "senml", 10: "senml-cbor", 14: "coap-senml", 18: "coap-senml-cbor"}
        protocol = formats.get(number, "mqtt5")
        more = {"profile": "pack"} if protocol.startswith("senml") else {}
        city.device("noise", "noise", f"{name}噪声仪", name, place, cadence_s=15, protocol=protocol, zone=zone, **more)
        if number == 1:
            # The edge node of a plant nearby.
            node = city.device("gateway", "gw", f"{name}边缘网关", name, city.near(place, 8), protocol="sparkplug", called="sparkplug=City/edge-{n:04}", cadence_s=30)
            city.device("dust", "dust", f"{name}空气站", name, city.near(place, 8), called=f"sparkplug=City/edge-{node[3:]}/air", parent=node, cadence_s=30)
        elif number % 4 == 1 or number == 0:
            city.device("dust", "dust", f"{name}空气站", name, city.near(place, 8), cadence_s=30, protocol="http")


def shared_bikes(city, cells):
    stands = []
    for number in range(FENCES):
        i, j = cells[number % len(cells)]
        # On the pavement of the road at the south side of the cell.
        along = between(0.2, 0.8)
        place = inside(i, j, along, 0.03)
        if not dry(place, 15):
            place = inside(i, j, along, 0.97)
        name = f"{ACROSS[j]}{number + 1}号停车点"
        capacity = pick([15, 20, 25, 30, 40])
        slope = math.atan2(node(i + 1, j)[1] - node(i, j)[1], node(i + 1, j)[0] - node(i, j)[0])
        # Every sixth stand is a station of an operator who publishes feeds.
        feed = {"protocol": "gbfs", "called": "gbfs=gbfs/stand-{n:04}"} if number % 6 == 5 else {"protocol": "mqtt5"}
        fence = city.device("bike_fence", "fence", f"{name}电子围栏", name, place, cadence_s=20, capacity=capacity, fence=name, **feed)
        city.fences.append(feature({"name": name, "device": fence, "capacity": capacity}, "Polygon", [box(place, capacity * 0.9 + 8, 14, slope)]))
        stands.append((name, place))
    for number in range(BIKES):
        name, place = stands[number % FENCES]
        lock = {"protocol": "http"}
        if number % 4 == 3:
            lock = {"protocol": "bikelock", "called": "bikelock=99000000{n:07}"}
        city.device("bike", "bike", f"共享单车{number + 1:03}", name, city.near(place, 4), cadence_s=20, **lock)


def outfalls(city):
    """Where treated sewage goes into the river, from west to east."""
    for number in range(OUTFALLS):
        east = 600.0 + number * 900.0
        place = (east, river(east) + 50.0)
        name = f"砚水河{number + 1}号排口"
        city.device("sewage", "sewage", f"{name}污水监测仪", name, place, protocol="hj212", called="hj212_mn=0F0000000000000002{n:06}", secret=False, cadence_s=30)


def blocks(city, cells):
    """Houses in which nothing is measured, so that the map looks lived in."""
    for i, j in sorted(cells):
        boxes = []
        for _ in range(40):
            point = inside(i, j, between(0.1, 0.9), between(0.1, 0.9))
            room = all(math.dist(point, other) > 45 + space for other, space in taken)
            if len(boxes) < 5 and room and dry(point, 20):
                taken.append((point, 30))
                boxes.append(box(point, between(24, 60), between(14, 30), pick([0, 0.1, -0.1])))
        if boxes:
            city.building("building", "", boxes)


COLUMNS_OUT = ["id", "kind", "name", "site", "lon", "lat", "datum", "parent", "cadence_s", "secret", "component_code",
               "profile", "identities.hj212_mn", "identities.gb26875", "identities.pressure_frame", "identities.jt808", "identities.bikelock",
               "identities.dtu", "identities.modbus", "identities.dev_eui", "identities.tts_device", "identities.sparkplug", "identities.ctwing",
               "identities.onenet", "identities.oceanconnect", "identities.gb28181", "identities.rtsp", "identities.gbfs", "tags.protocol", "tags.class", "tags.capacity", "tags.fence", "tags.zone", "tags.dust_rule", "tags.area"]


def main():
    grids()
    boundaries()
    roads()
    waters()
    city = City()
    # The lake's own cell is a park.
    cells = shuffled([(i, j) for i in range(COLUMNS) for j in range(ROWS) if (i, j) not in [(5, 4), (6, 4)]])
    for number in range(STATIONS):
        station(city, number, cells[number])
    rest = cells[STATIONS:]
    for number in range(len(ESTATES)):
        estate(city, number, rest[number % len(rest)])
    for number in range(SITES):
        building_site(city, number, cells[number])
    quiet_places(city, shuffled(cells))
    shared_bikes(city, shuffled(cells))
    outfalls(city)
    blocks(city, cells)
    write("map/sites.geojson", city.sites)
    write("map/fences.geojson", city.fences)
    names = {"pressure": "tags.class"}
    order = {"gateway": 0}
    with open("devices.csv", "w", encoding="utf-8") as out:
        out.write(",".join(COLUMNS_OUT) + "\n")
        # Gateways come before their children.
        for row in sorted(city.devices, key=lambda row: order.get(row["kind"], 1)):
            named = {names.get(key, key if key in COLUMNS_OUT else f"tags.{key}"): value for key, value in row.items()}
            out.write(",".join(str(named.get(column, "")) for column in COLUMNS_OUT) + "\n")


main()
