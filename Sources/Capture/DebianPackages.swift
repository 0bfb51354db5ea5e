/// The Debian 12 package that an element comes with, for those that cameras and recordings usually need.
func debianPackage(ofElement name: String) -> String? {
    elementsOfPackages.first { $0.elements.contains(name) || $0.prefixes.contains(where: name.hasPrefix) }?.package
}

private let elementsOfPackages: [(package: String, elements: Set<String>, prefixes: [String])] = [
    (
        "gstreamer1.0-plugins-base",
        [
            "videotestsrc", "videoconvert", "videoscale", "videoconvertscale", "videorate", "appsink", "appsrc",
            "decodebin",
            "decodebin3", "uridecodebin", "uridecodebin3", "playbin", "tcpclientsrc", "tcpserversrc", "gdpdepay",
            "oggdemux",
            "theoradec", "rawvideoparse",
        ], []
    ),
    (
        "gstreamer1.0-plugins-good",
        [
            "v4l2src", "rtspsrc", "rtpjitterbuffer", "udpsrc", "souphttpsrc", "jpegdec", "jpegenc", "pngdec", "pngenc",
            "multifilesrc", "imagefreeze", "splitmuxsrc", "qtdemux", "qtmux", "mp4mux", "matroskademux", "matroskamux",
            "avidemux", "avimux", "multipartdemux", "vp8dec", "vp9dec", "videocrop", "videoflip", "deinterlace",
        ], ["rtp"]
    ),
    (
        "gstreamer1.0-plugins-bad",
        [
            "h264parse", "h265parse", "jpegparse", "pngparse", "tsdemux", "openh264dec", "openh264enc", "bayer2rgb",
            "srtsrc",
            "decklinkvideosrc", "shmsrc", "webrtcbin", "av1dec", "openjpegdec",
        ], ["va", "uvch264"]
    ),
    ("gstreamer1.0-plugins-ugly", ["x264enc", "mpeg2dec", "asfdemux"], []),
    ("gstreamer1.0-libav", [], ["av"]),
    ("gstreamer1.0-pipewire", ["pipewiresrc"], []),
    ("gstreamer1.0-libcamera", ["libcamerasrc"], []),
    ("gstreamer1.0-nice", ["nicesrc"], []),
    ("libaravis-0.8-0", ["aravissrc"], []),
]
