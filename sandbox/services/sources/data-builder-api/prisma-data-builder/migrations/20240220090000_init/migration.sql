-- CreateTable
CREATE TABLE "version_info" (
    "component" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    CONSTRAINT "version_info_pkey" PRIMARY KEY ("component")
);

-- CreateTable
CREATE TABLE "tags" (
    "name" TEXT NOT NULL,
    CONSTRAINT "tags_pkey" PRIMARY KEY ("name")
);
