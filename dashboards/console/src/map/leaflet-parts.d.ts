// Types of the single files of Leaflet, by those of the package.

declare module "leaflet/src/map/handler/Map.*";
declare module "leaflet/src/control/Control.Scale" { export const scale: typeof import("leaflet").control.scale; }
declare module "leaflet/src/dom/DomUtil" { export const setTransform: typeof import("leaflet").DomUtil.setTransform; }
declare module "leaflet/src/geo/crs/CRS.Earth" { export const Earth: typeof import("leaflet").CRS.Earth; }
declare module "leaflet/src/geo/crs/CRS.EPSG3857" { export const EPSG3857: typeof import("leaflet").CRS.EPSG3857; }
declare module "leaflet/src/geo/crs/CRS.EPSG4326" { export const EPSG4326: typeof import("leaflet").CRS.EPSG4326; }
declare module "leaflet/src/geo/LatLng" { export const toLatLng: typeof import("leaflet").latLng; }
declare module "leaflet/src/geo/LatLngBounds" { export const toLatLngBounds: typeof import("leaflet").latLngBounds; }
declare module "leaflet/src/geometry/Point" { export const toPoint: typeof import("leaflet").point; }
declare module "leaflet/src/layer/tile/TileLayer" { export const tileLayer: typeof import("leaflet").tileLayer; }
declare module "leaflet/src/map/Map" { export const createMap: typeof import("leaflet").map; }
