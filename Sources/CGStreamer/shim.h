#ifndef BELTWATCH_CGSTREAMER_SHIM_H
#define BELTWATCH_CGSTREAMER_SHIM_H

#include <gst/gst.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/video/video.h>

#endif
