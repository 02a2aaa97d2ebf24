// A viewer's home page: its rows.

import { watchRows } from "./viewing/rows";

watchRows();
