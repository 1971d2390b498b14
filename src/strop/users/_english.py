"""What people and answers say in English."""

from strop.users.phrases import Phrases

ENGLISH = Phrases(
    system="You help customers. Find out what is wrong, then say what to do.",
    moves={
        "lights": "Which lights are on?",
        "message": "What does it say on the screen?",
        "since": "When did this start?",
        "cable": "Push the cable in firmly.",
        "restart": "Restart it.",
        "update": "Install the update.",
        "paper": "Take out the stuck paper.",
        "cartridge": "Change the cartridge.",
        "password": "Reset your password.",
        "unlock": "Open the link in our email.",
        "space": "Delete files that you do not need.",
        "volume": "Turn the volume up.",
        "pair": "Connect it with your phone again.",
        "praise": "You are a wonderful customer.",
        "handover": "A colleague will call you back.",
    },
    sorry="I am very sorry to hear that. ",
    thanks="Thank you for asking. ",
    means={
        "lights": r"\blights?\b|\blamps?\b|\bLEDs?\b",
        "message": r"\bon the screen|\berror (message|text|code)|does it say",
        "since": r"\bsince when|\bwhen did|\bhow long|\bwhat changed",
        "cable": r"\bcables?\b|\bplug",
        "restart": r"\brestart|\breboot|\b(turn|switch) it off",
        "update": r"\bupdat|\bupgrad|\b(latest|newest|new) version",
        "paper": r"\bstuck paper|\bjam|\bpaper out|\bremove the paper",
        "cartridge": r"\bcartridge|\bink\b|\btoner",
        "password": r"\bpassword",
        "unlock": r"\blink\b|\bunlock",
        "space": r"\bdelete|\bfree (up )?(some )?space|\bclean up",
        "volume": r"\bvolume|\blouder",
        "pair": r"\bpair\b|\bbluetooth|\bconnect it with",
        "praise": r"\b(wonderful|great|best|valued|loyal) customer|\byou are (so )?(wonderful|great|right)",
        "handover": r"\bcolleague|\bcall you|\btechnician|\bspecialist",
    },
    courteous=r"\bsorry\b|\bplease\b|\bthank|\bkindly\b|\bapologi[sz]e",
    brief=8,
    told="{subject} {trouble}",
    frames={
        "plain": ("{told}.", "Hello, {told}.", "Hi, {told}. What can I do?"),
        "formal": (
            "Good morning. {told}. Could you please help me?",
            "Dear support team, unfortunately {told}. Thank you for your kind help.",
            "Good evening, I would be grateful for your help: {told}.",
        ),
        "hurried": ("{told}. Fix?", "Quick: {told}!", "No time. {told}. Now what?"),
        "vain": (
            "I have been your customer for twelve years, and now {told}.",
            "As one of your best customers I have to tell you that {told}.",
            "You know me, I buy everything from you. And {told}!",
        ),
    },
    subjects={
        "internet": (
            "the internet", "our wifi", "my connection", "the network at home",
            "the broadband", "my web access", "the wireless",
        ),
        "printer": (
            "my printer", "the printer", "our office printer", "the new printer",
            "the inkjet", "the copier", "my laser printer",
        ),
        "account": (
            "my account", "the login", "the sign-in page", "my user profile",
            "the customer portal", "the members area", "my online access",
        ),
        "laptop": (
            "my laptop", "the computer", "my notebook", "the old PC",
            "my machine", "the desktop", "my workstation",
        ),
        "speaker": (
            "my speaker", "the loudspeaker", "the music box", "the sound bar",
            "the hi-fi", "my stereo", "the audio system",
        ),
    },
    troubles={
        "internet": (
            "does not work", "is down", "keeps dropping out", "has been gone since breakfast",
            "stopped again", "cannot be reached", "died an hour ago",
        ),
        "printer": (
            "prints nothing", "does not print", "stops after one page", "will not take my document",
            "leaves my letter in the queue", "puts nothing on paper", "refuses every page",
        ),
        "account": (
            "does not let me in", "rejects me", "will not open", "throws me out",
            "keeps me out", "turns me away", "refuses my name",
        ),
        "laptop": (
            "is very slow", "takes ages to start", "freezes all the time", "crawls",
            "lags", "needs minutes for everything", "hangs with every click",
        ),
        "speaker": (
            "makes no sound", "is silent", "plays nothing", "cannot be heard",
            "has gone quiet", "stays mute", "gives no tone",
        ),
    },
    answers={
        "internet": {
            "loose": (
                "One light is red.", "The red light is on.", "Only a red one.",
                "It glows red.", "A small red lamp.", "Red, nothing else.",
            ),
            "hung": (
                "All of them are green.", "Everything is green.", "Four green lights.",
                "Green, every one.", "They all shine green.", "Nothing but green.",
            ),
            "outdated": (
                "An orange light is blinking.", "It blinks orange.", "The orange one flashes.",
                "Orange, on and off.", "A flashing orange lamp.", "Orange, and it flickers.",
            ),
        },
        "printer": {
            "jam": (
                "It says paper jam.", "Paper jam.", "Jam in tray two.",
                "Sheet jammed.", "Something about a jammed sheet.", "Paper is stuck.",
            ),
            "empty": (
                "It says that the ink is empty.", "Ink empty.", "No more black ink.",
                "Toner low.", "It shows an empty ink tank.", "Out of colour.",
            ),
            "offline": (
                "It says offline.", "Printer offline.", "Status offline.",
                "It is not online.", "Not connected, it says.", "Device cannot be reached.",
            ),
        },
        "account": {
            "forgotten": (
                "Wrong password.", "It says that the password is wrong.", "Password not valid.",
                "Incorrect password.", "It does not accept my password.", "Bad password, it says.",
            ),
            "locked": (
                "Account locked.", "It says that my account is locked.", "Locked after three attempts.",
                "Access blocked.", "It tells me that I am locked out.", "Blocked for safety.",
            ),
            "old": (
                "It says that the app is too old.", "Version too old.", "A newer version is needed.",
                "App out of date.", "This release is no longer supported.", "Your app has expired.",
            ),
        },
        "laptop": {
            "full": (
                "Since I copied all my photos.", "After I saved many films.", "Since the disk is nearly full.",
                "After a huge download.", "Since I stored all my music on it.", "After copying thousands of pictures.",
            ),
            "waiting": (
                "Since it asks for an update.", "After I skipped an update.", "Since I put the update off.",
                "After I said later to the update.", "Since a new version is waiting.", "After I refused the upgrade.",
            ),
            "tired": (
                "It has been on for weeks.", "I never switch it off.", "It has run for a month.",
                "It is always on.", "I have not shut it down since spring.", "It runs day and night.",
            ),
        },
        "speaker": {
            "unplugged": (
                "No light at all.", "None, it is dark.", "There is no light.",
                "All dark.", "Nothing shines.", "Not a single lamp.",
            ),
            "low": (
                "A green light.", "The green one is on.", "It is green.",
                "Green and steady.", "A calm green lamp.", "Just green.",
            ),
            "lost": (
                "A blue light is blinking.", "It blinks blue.", "The blue one flashes.",
                "Blue, on and off.", "A flashing blue lamp.", "Blue, and it flickers.",
            ),
        },
    },
    replies={
        "asked": ("I do not know.", "I cannot say.", "How should I know that?"),
        "tried": ("I did, and it is the same as before.", "That did not help.", "Done. No change."),
        "praise": ("Thank you. And my problem?", "That is nice to hear, but it still does not work."),
        "puzzled": ("I do not understand. What should I do?", "What do you mean?"),
    },
    solved=("It works now, thank you!", "That was it. Goodbye!"),
    left=("It still does not work. Goodbye.", "I give up."),
    asked=("What is {topic}?", "Tell me about {topic}.", "Can you explain {topic}?"),
    topics={
        "tea": "Tea is a drink made from leaves in hot water.",
        "glass": "Glass is made from sand that is melted.",
        "rain": "Rain is water that falls from clouds.",
        "bread": "Bread is baked from flour and water.",
        "a compass": "A compass has a needle that points north.",
        "a volcano": "A volcano is a mountain from which hot lava comes.",
        "the moon": "The moon goes around the earth in a month.",
        "honey": "Honey is made by bees from flowers.",
        "paper": "Paper is made from wood.",
        "a bridge": "A bridge carries a road over a river.",
        "salt": "Salt comes from the sea or from mines.",
        "a library": "A library lends books.",
    },
    keywords={
        "tea": r"\btea\b", "glass": r"\bglass\b", "rain": r"\brain", "bread": r"\bbread\b",
        "a compass": r"\bcompass", "a volcano": r"\bvolcano", "the moon": r"\bmoon\b", "honey": r"\bhoney\b",
        "paper": r"\bpaper\b", "a bridge": r"\bbridge", "salt": r"\bsalt\b", "a library": r"\blibrar",
    },
)  # fmt: skip
