// A viewer's home page: its rows.

import { watchPreviews } from "./shared/preview";
import { watchRows } from "./viewing/rows";

watchRows();
watchPreviews();
