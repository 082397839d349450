// The parts of Leaflet that the city map needs. The package as a whole also draws markers, popups, shapes and GeoJSON:
// twice the weight, and our own canvases do all of it.

import "leaflet/src/map/handler/Map.Drag";
import "leaflet/src/map/handler/Map.Keyboard";
import "leaflet/src/map/handler/Map.ScrollWheelZoom";
import "leaflet/src/map/handler/Map.TouchZoom";

export { scale } from "leaflet/src/control/Control.Scale";
export { setTransform } from "leaflet/src/dom/DomUtil";
export { Earth } from "leaflet/src/geo/crs/CRS.Earth";
export { EPSG3857 } from "leaflet/src/geo/crs/CRS.EPSG3857";
export { EPSG4326 } from "leaflet/src/geo/crs/CRS.EPSG4326";
export { toLatLng as latLng } from "leaflet/src/geo/LatLng";
export { toLatLngBounds as latLngBounds } from "leaflet/src/geo/LatLngBounds";
export { toPoint as point } from "leaflet/src/geometry/Point";
export { tileLayer } from "leaflet/src/layer/tile/TileLayer";
export { createMap } from "leaflet/src/map/Map";
export type { Map as LeafletMap, TileLayer } from "leaflet";
